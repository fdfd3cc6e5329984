"""The areas of the conformance suite, one file each."""
