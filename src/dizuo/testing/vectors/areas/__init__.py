"""The areas of the conformance suite, one file each, in the order of the table.

scores.py         scores are those of the metric, ties come by id
filtering.py      filters mean what they mean, and are never ignored
selectivity.py    k rows come back, however few match
writing.py        replacing, updating, deleting
roundtrips.py     what goes in comes out bit for bit
namespaces.py     namespaces and collections do not see each other
batches.py        streams of any size, and errors by row
hybrid.py         by words, and by words and vectors
words.py          words count what is there, after any history
scans.py          every record once
refusals.py       what must not be stored is refused
limits.py         one past what engines allow
upkeep.py         a store says what it is, and optimizes itself
handles.py        a handle whose collection is dropped or made anew
processes.py      several processes, a restart, a kill
faults.py         no server, a wrong password, a server that dies
"""
