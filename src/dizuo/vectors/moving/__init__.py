"""Records out of one store and into another, verified.

copying.py      from store to store, resumed by repeating
exporting.py    to Parquet files with a manifest, and back
dumps.py        other people's Parquet files
"""
