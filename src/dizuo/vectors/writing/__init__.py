"""What comes in, rows and queries: checked, cut into batches, sent.

checking.py    ids, vectors, metadata, documents: nothing bad is ever sent
queries.py     the vectors of a search
arrow.py       records as Arrow columns
columns.py     metadata read as columns
batching.py    batches by rows and bytes, repeated where it may help
digests.py     a digest of every record
naming.py      names of tables and indexes
"""
