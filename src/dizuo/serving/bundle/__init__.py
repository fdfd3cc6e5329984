"""A bundle: a folder that can be served anywhere and proves what it is.

files.py    written and opened, every digest checked
heads.py    a trained head in it, checked against golden questions
card.py     its README
"""
