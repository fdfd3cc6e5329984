"""From a URL to an open store.

addresses.py    the URL: scheme, login, options
connect.py      `connect`
"""
