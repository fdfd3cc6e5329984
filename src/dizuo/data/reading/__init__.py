"""Files go in; a staging file of examples comes out, and every bad row is reported with file and line.

A row passes through these files, in this order:

    sources.py      which files a data set is made of, and which split each belongs to
    hub.py          the same for what `datasets` saved and for repositories of the hub; names of classes
    files.py        decompresses a file, decodes it and cuts it into lines
    encodings.py    finds which encoding a file is in
    rows.py         the rows of all sources, with names of classes, and without the keys that a user ignores
    detection.py    finds which record format the rows have; `formats/` has one file each
    label_columns.py  which columns may hold a label, where nobody said
    columns.py      which column plays which role
    asking.py       what stands before an answer, in all the columns that people keep it in
    turns.py        the turns of conversations, in the shapes that people store them in
    tool_calls.py   what a turn calls, and what it may call
    keys.py         which keys of a row were read, and counts of those that were not
    learnt.py       which unread keys change what is learnt, and are an error
    correcting.py   what a refused row may have meant, as a line to paste
    staging.py      all of it: reads the sources, and writes the examples and their keys
    reporting.py    the error that lists the bad rows
"""
