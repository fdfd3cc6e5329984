"""The areas of the conformance suite of stores, one class of tests each; `suite.py` puts them together.

What goes in and comes out:

    roundtrips.py     what goes in comes out bit for bit
    writing.py        upserts replace, updates spare the vector, deletes count
    batches.py        streams of any size, with errors by row
    refusals.py       what must not be stored is refused by name
    scans.py          a scan sees every record once

How it is searched:

    scores.py         higher is nearer, and ties go by id
    filtering.py      a filter means what it means in memory
    selectivity.py    k means k, however few rows match
    hybrid.py         by words, and by words and vectors together

What it lives through:

    namespaces.py     namespaces and collections do not see each other
    processes.py      several processes, a restart, a kill
    faults.py         no server, a wrong password, a server that dies
    upkeep.py         it says what it is, and keeps itself in shape
"""
