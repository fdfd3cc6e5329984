"""Files go in; a staging file of examples comes out, and every bad row is reported with file and line.

A row passes through these files, in this order:

    sources.py      which files a data set is made of, and which split each belongs to
    files.py        decompresses a file, decodes it and cuts it into lines
    encodings.py    finds which encoding a file is in
    detection.py    finds which record format the rows have; `formats/` has one file each
    columns.py      which column plays which role
    turns.py        the turns of conversations, in the shapes that people store them in
    staging.py      all of it: reads the sources, and writes the examples and their keys
"""
