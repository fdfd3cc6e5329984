"""dizuo computes here what a database cannot.

    scan.py                an exact search over a stream of rows, and filters that a database does not reach
    places.py              a place for every record, for databases that page by offset
    within_limits.py       answers to filters that are beyond a database's limits, out of several that are not
    ties.py                equal scores at the cut, where a database orders by score alone
    tags_and_numbers.py    metadata as tags and numbers, for databases that filter by these
    sort_keys.py           metadata values as texts that compare as the values do, for databases that compare texts

A store uses those that its database needs; the two encodings are written with every record and read by its filters.
"""
