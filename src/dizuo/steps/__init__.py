"""The five steps, one file each, and the pipeline that runs them in order and skips what is done.

A recipe goes in; a folder per step comes out, under `runs/NAME/`. This is the only place where the rooms meet: a step
binds options, asks a room for the work, and keeps what it left in a folder with a manifest.

options.py     options of the recipe's sections that no room has
replacing.py   other data in a recipe, without what described its own
placing.py     relative paths in a recipe: those of its own folder
settings.py    a recipe's sections, bound to everybody's options before anything starts
hints.py       settings in hints, as a recipe, the shell or Python writes them
manifest.py    what a step was made from and what it left: is it done, or why does it have to run?
pipeline.py    the steps in order

select.py      1. which model
prepare.py     2. the data, read, checked and split
train.py       3. training, exact and resumable
samples.py        answers to a few rows, written down while it trains
launched.py       the same step as one of several processes
evaluate.py    4. the report: before and after, beside cheap baselines
deploy.py      5. the bundle, registered under a name

planning.py    what a recipe would do, without doing it
doctor.py      the self-test of a recipe
search.py      a search over learning rate, rank and epochs, one run per trial
"""
