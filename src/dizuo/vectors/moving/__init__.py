"""Records are moved out of one store and into another, and each of them is verified.

    copying.py          from store to store; a copy that was killed is called again, and sends what is missing
    exporting.py        from a store to Parquet files with a manifest
    export_format.py    what these files hold
    importing.py        from an export, or from Parquet files of anybody's, into a store
    dumps.py            which columns of anybody's Parquet files are id, vector, document and metadata
    parts.py            rows of a file: records with their places, and what is no record
    repeats.py          ids that stand in several rows

All of them compare digests (`writing/digests.py`): what the target holds already is not sent again, and they are done
when the target answers for every record.
"""
