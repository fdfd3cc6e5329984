"""A URL goes in; an open store comes out.

connect.py      `connect`: finds the store of the scheme, opens the collection, adds a BM25 side-car where one is
                needed, and returns a `VectorStore`
forms.py        what has no scheme is a folder, or an address that was written wrongly
addresses.py    a URL is taken apart, whatever stands in its password
options.py      its query and keyword arguments become the options of the store; a `Secret` among them its login
"""
