"""Where a run can be watched, one tool per file; the folder is the registry (see `dizuo.training.tracking`)."""
