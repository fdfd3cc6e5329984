"""A URL goes in; an open store comes out.

addresses.py    a URL is taken apart, and its query becomes the options of the store
connect.py      `connect`: finds the store of the scheme, opens the collection, adds a BM25 side-car where one is
                needed, and returns a `VectorStore`
"""
