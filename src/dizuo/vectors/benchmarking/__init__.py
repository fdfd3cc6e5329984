"""Stores measured on one's own data: build time, size, memory, latency under load, recall, and dizuo's own cost.

bench.py        `bench`: every store in a process of its own, and the result
preparing.py    what is loaded and asked, and what the exact answers are
worker.py       one store's part
searching.py    latency and recall
overhead.py     beside the raw clients of `raw/`
memory.py       of the process, a server, a folder
"""
