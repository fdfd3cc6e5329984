"""Benchmarks of stores on a user's own data: build time, size, memory, latency under load, recall, dizuo's own cost.

Addresses of stores and data go in; a `Benchmark` comes out, which `dizuo vectors bench` draws. On the way:

    bench.py        `benchmark` runs every store in a process of its own and gathers what they say
    preparing.py    the rows that are loaded, the queries that are asked, and the exact answers
    worker.py       one store's process: it loads, searches, and says what it measured
    searching.py    latency under load, and recall with filters
    overhead.py     what dizuo costs beside the raw client
    raw/            these raw clients, one file per database
    memory.py       memory of the process and of a server, bytes of a folder
    machine.py      what the machine is, and how busy
"""
