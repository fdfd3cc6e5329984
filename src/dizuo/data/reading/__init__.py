"""From files to records: found, decoded, recognised, every bad row reported with file and line.

sources.py      which files a data set is made of, and which split each belongs to
files.py        decompressed, decoded, cut into lines
encodings.py    which encoding a file is in
detection.py    which record format the rows have; `formats/` has one file each
columns.py      which column plays which role
turns.py        turns of conversations in the shapes people store them
staging.py      all of it: sources -> staged examples
"""
