"""Our own forward pass of the dense decoder family over a token tree, on the weights of a transformers model.

decoder.py        the layers in order; which models it fits
linear.py         projections of one input together, with their LoRA adapters
elementwise.py    norms, residual sums, the gate
"""
