"""The engines, one entry each: a file or a package. The folder is the registry."""
