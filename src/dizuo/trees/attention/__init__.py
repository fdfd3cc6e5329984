"""Attention over a token tree: position i sees position j exactly when j <= i < end[j].

Queries, keys and values of the T packed tokens and the tree's `end` go in; what each query attended to comes out.

blocks.py       which keys each block of queries must gather: the plan, from a tree or from a dense mask
row_blocks.py   what the plan says, in batched matrix products; rotary embedding with it. For CPUs
flex.py         the same by PyTorch's FlexAttention, for GPUs
dense.py        the same over a dense mask, with the variants that row blocks lack (softcap, sinks, position bias)
"""
