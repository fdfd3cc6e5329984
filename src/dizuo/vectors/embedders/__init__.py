"""Where vectors come from, one file each; `dizuo.vectors.embedding` has the protocol and opens them."""
