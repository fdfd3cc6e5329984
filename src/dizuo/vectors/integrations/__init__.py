"""Stores of dizuo as other projects know vector stores, one file each; importing one needs that project installed."""
