"""From rows to blocks of tokens: rendered once into files, read by every step and every resume.

tokenizing.py     rows -> token sequences with weights, checked; bad rows are named with file and line
cutting.py        what is done to a sequence that is too long
counts.py         how many tokens there are, and what was cut
token_store.py    the files: memory-mapped arrays with a digest
batching.py       which examples a step has, and in which blocks they go through the model
"""
