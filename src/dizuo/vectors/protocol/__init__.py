"""What passes between a vector store's user-facing handle and an engine.

store.py      `Store`: what a database file in `stores/` implements, and how to write one
answers.py    what a store tells its user
faults.py     what can go wrong
"""
