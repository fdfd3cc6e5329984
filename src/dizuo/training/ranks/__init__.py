"""Several processes that train one plan together: the same losses and weights as one, up to rounding.

group.py       `Ranks`: who takes part, and what they exchange
sharding.py    weights, gradients and optimizer states divided among them (FSDP2)
drift.py       ranks that hold different weights are found before a checkpoint is written
worker.py      what one process of the group runs; launchers start it
"""
