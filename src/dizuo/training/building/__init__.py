"""A plan and a model go in; a network that can be trained and the stepper that trains it come out.

build.py      `build_network` and `build_stepper`: the plan's choices are followed, nothing is measured
network.py    what of the model is trained: adapters, every weight, a head; how it is saved and undone
result.py     what a run ends with, and the file that says that it ended
"""
