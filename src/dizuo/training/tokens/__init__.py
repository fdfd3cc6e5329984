"""Rows go in; blocks of tokens come out. Rows are rendered once into files, which every step and every resume reads.

checking.py       rows that hold what would never reach the model, looked for before anything is planned
tokenizing.py     rows -> token sequences with weights, checked; bad rows are named with file and line
cutting.py        what is done to a sequence that is too long
counts.py         how many tokens there are, and what was cut
token_store.py    the files: memory-mapped arrays with a digest
trained_text.py   sequences as text, cut where what is trained begins and ends
batching.py       which examples a step has, and in which blocks they go through the model
"""
