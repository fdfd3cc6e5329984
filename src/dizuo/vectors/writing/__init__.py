"""What goes to a database: rows and queries are checked, cut into batches and sent.

    sources.py             points, blocks and Arrow columns, as users hand them in, become blocks
    checking.py            what may be sent: ids, vectors, metadata, documents
    metadata_columns.py    metadata of one shape, checked and read by Arrow as a whole
    batching.py            batches are cut, and made ready while others are on their way
    sending.py             an upsert: batch after batch, visible once at the end
    retrying.py            a call that fails for a moment is tried again
    queries.py             what is asked for: query vectors, k, ids
    choices.py             words and lists that calls take: a misspelt one is refused with the near one
    arrow.py               blocks as Arrow record batches
    digests.py             a digest of every record, by which copies and exports are verified
    naming.py              the names of tables and indexes

An upsert passes through sources, checking (or metadata_columns) and batching; each batch is sent by the store, in
sending, and repeated by retrying.
"""
