"""Filters: one typed tree with the same meaning on every engine.

tree.py        the tree, how it is built and written as text
matching.py    what it says of one record: the definition
text.py        from the text that is typed in a shell to the tree
"""
