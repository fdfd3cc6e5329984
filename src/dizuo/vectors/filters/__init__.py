"""Filters on metadata: one tree of conditions that means the same on every database.

    tree.py           the conditions, `field("year") >= 2020`, and how they are written as text
    parsing.py        the text that is typed in a shell, `year >= 2020`, becomes the tree
    matching.py       whether one record matches: the definition, which every database is tested against
    normalising.py    the simplest form that means the same, which is what databases get
    fitting.py        a filter that is beyond what a database takes, in parts that are within it

A filter is made by `field` or by `parse`; `VectorStore` checks that the database has its operators and simplifies it;
the store compiles the tree into its database's language.
"""
