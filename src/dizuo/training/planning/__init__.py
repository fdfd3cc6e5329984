"""From what was asked for to a plan: every value resolved, with its origin, and everything that cannot work refused.

options.py      what a user may set
planner.py      `plan`: the steps below in order; rows that cannot be trained are named with file and line
resolving.py    every value: what the user gave, else what dizuo chooses
defaults.py     what dizuo chooses from the data and the model, and why
placement.py    on which device, what is kept there, what is divided among ranks
measuring.py    what only the real model can say: the exact layout, the cost of the worst block
machine.py      processor, memory, versions
plan.py         `Plan`, and the one pair of functions that writes and reads plan.json
"""
