"""The five verbs, one file each, and the pipeline that runs them in order and skips what is done.

The only place where the rooms meet: a step binds options, asks a room for the work, and keeps what it left
in a folder with a manifest.
"""
