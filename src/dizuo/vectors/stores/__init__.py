"""One file per database: the folder is the registry, and the file's name is the scheme of its URL."""
