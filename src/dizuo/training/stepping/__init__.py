"""One optimizer step, the same for every method, layout and number of ranks.

stepper.py      forward, backward, normalisation over the whole step, clipping, AdamW
schedule.py     the learning rate of a step
reference.py    what the untrained model says of every sequence, for methods that compare with it
figures.py      what is summed over blocks and ranks, and reported
validating.py   evaluations during a run, and which one is the best
"""
