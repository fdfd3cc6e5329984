"""From a plan and a model to what can be stepped.

build.py      `build_network` and `build_stepper`: the plan's choices are followed, nothing is measured
network.py    what of the model is trained: adapters, every weight, a head; how it is saved and undone
    result.py     what a run ends with, and the file that says that it ended
"""
