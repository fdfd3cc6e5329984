"""What is checked before any split is drawn, and the account of every row.

Row numbers go in, each with the keys of its text; the rows that must be removed come out:

    identity.py      what makes two rows the same: the keys, after normalising
    duplicates.py    copies of a row, and one text with two labels
    leakage.py       training rows that also stand in test or validation
    label_names.py   labels that are no classes: missing ones, and one class written in several ways
    ledger.py        the account of every row: rows read = rows kept + rows removed, by reason
    characters.py    characters that a model's tokenizer cannot write
"""
