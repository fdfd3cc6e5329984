"""One check of the self-test per file; the folder is the registry (see `dizuo.training.doctor`)."""
