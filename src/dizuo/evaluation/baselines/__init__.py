"""What an expert would try before tuning a language model, one file each.

A baseline is a module with

    TITLE       what the report calls it
    KINDS       kinds of task it can do (`classification`, `generation`)
    fit(rows, *, labels, options, watch) -> a function that answers a list of texts with `Answers`

`fit` may raise `Absent` with the reason why the row cannot be made here. Rows are (text, answer) pairs. The two
baselines of the language model itself, `untuned` and `five_shot`, say which messages it is shown.
"""
