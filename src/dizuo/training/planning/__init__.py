"""Planning resolves every value of a run, says where it came from, and refuses what cannot work.

A model, a data set and options go in; a `Plan` comes out, which is written to plan.json.

    options.py          what a user may set
    planner.py          `plan`: the steps below in order; rows that cannot be trained are named with file and line
    request.py          what was asked for; equal requests get the plan that is already there
    problems.py         reasons why training cannot start, gathered
    resolving.py        every value: what the user gave, else what dizuo chooses
    defaults.py         what dizuo chooses from the data and the model, and why
    learning_rates.py   peak learning rates by adapter and model size
    placement.py        on which device, what is kept there, what is divided among ranks
    measuring.py        what only the real model can say: the exact layout, the cost of the worst block
    trial.py            the same in a process of its own, with all else that a run does: the peak of memory
    costs.py            tokens, memory, disk, time
    machine.py          processor, memory, versions
    settings.py         the resolved values as typed fields
    plan.py             `Plan`, and the one pair of functions that writes and reads plan.json
    facts.py            what checkpoints and finished runs say of their plan
    snapshot.py         two pictures in JSON, and where they differ
"""
