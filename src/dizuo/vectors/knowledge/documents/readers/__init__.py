"""Readers of document files, one file each: `SUFFIXES` and `read(path, *, watch) -> Draft`."""
