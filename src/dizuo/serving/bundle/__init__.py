"""A bundle: a folder that can be served anywhere and proves what it is.

A trained adapter or model, its task, report and data card go in; a folder with a digest of every file comes out, and
`open` checks all of them before anything is served.

files.py         writes and opens the folder; every digest is checked
generation.py    generation.json: how the model answers unless a request says otherwise
card.py          README.md: what the model is and how to ask it
heads.py         the trained head in it, checked against golden texts before it answers
"""
