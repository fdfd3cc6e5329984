"""Training methods, one file each. The folder is the registry; see `dizuo.training.method` for the protocol."""
