"""What is checked before any split is drawn.

ledger.py        the account of every row: in = kept + removed, by reason
duplicates.py    which rows are kept: duplicates, leaks and conflicts go first
identity.py      what makes two rows the same
characters.py    characters that a model's tokenizer cannot write
"""
