"""Databases by hand, one file each: the shortest code that a competent user writes for the same result as dizuo's.

The same Arrow input, metadata as filterable JSON and a document column, replacing what has the same id, visible to
everybody when it returns; a search brings id, cosine, metadata and document. `overhead.py` measures them beside dizuo.
A module is named after its URL scheme and has `open_raw(url, dim, name)`, where `name` is that of a table of its own.
"""
