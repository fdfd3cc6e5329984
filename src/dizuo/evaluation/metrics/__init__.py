"""What a score is, one file each.

Metrics of single items have `TITLE` and `items(answers, references) -> [n] numbers from 0 to 1`, whose mean is the
score; every item counts, an answer that cannot be read as 0. Metrics of a whole set have functions of their own.
"""
