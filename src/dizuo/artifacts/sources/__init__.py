"""One file per kind of address. A source has `FORM` (shown in hints), `parse(rest) -> Address` and
`fetch(address, *, watch) -> Artifact`; it imports its client inside functions."""
