"""What is checked before any split is drawn, and the account of every row.

Rows go in as numbers with the keys of what they read; which of them have to go comes out:

    identity.py      what makes two rows the same: the keys, after normalising
    duplicates.py    copies of a row, and one text with two labels
    leakage.py       training rows that also stand in test or validation
    ledger.py        the account of every row: rows read = rows kept + rows removed, by reason
    characters.py    characters that a model's tokenizer cannot write
"""
