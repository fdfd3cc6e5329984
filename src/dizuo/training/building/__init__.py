"""From a plan and a model to what can be stepped.

network.py    what of the model is trained: adapters, every weight, a head; saved and undone
"""
