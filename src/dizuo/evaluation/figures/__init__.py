"""Scores of a whole set, where an item by itself has none; one file each. The folder is the registry."""
