"""What passes between `VectorStore`, which users hold, and a database.

    database.py        `Database`: what a file of `stores/` ends in
    collection.py      `CollectionRequest`, what a user asked for, and `CollectionSpec`, what the collection is
    store.py           `Store`: the methods of a database, with the guide how one is written
    capabilities.py    `Capabilities` and `EngineInfo`: what a database can do and says of itself
    limits.py          `Limit`: what a database allows at most, and what is done at it
    answers.py         `Hits`, `Upserted`, `Info`: what users get, out of what a store returned
    guard.py           `Guard`: one call at a time, in the process that opened the store
    errors.py          what can go wrong

`connect` takes a `Database`, hands it a `CollectionRequest` and gets a `Store`; `VectorStore` calls the store's methods
and makes answers of what they return.
"""
