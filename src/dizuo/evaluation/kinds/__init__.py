"""Kinds of tasks, one file each: which rows a report has, and how each is scored. The folder is the registry."""
