"""What dizuo computes itself where an engine cannot.

scan.py            exact search over a stream of rows
flat_columns.py    metadata flattened to tags and numbers
sortable.py        a value as a text that compares as the value does
"""
