"""The engine inside this process: it batches requests over a transformers model and its adapters.

engine.py       `Embedded`: the engine's methods, one worker thread behind them
scheduler.py    which requests take part in the next step
backends.py     the two ways to advance sequences by one step
packed.py       many sequences in one pass, each over its own keys and values
sampling.py     drawing the next token
"""
