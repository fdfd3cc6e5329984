"""Record formats: one module each, and the folder is the registry.

A format module has

    KIND                                the record it makes
    NEEDS: tuple[str, ...]              the roles that a row must have, for messages
    fits(row, columns) -> set[str] | None
                                        the columns of a row that the format uses, judged by keys and value types;
                                        None where the row is of another format
    read(row, columns, options) -> Iterator[Example]
                                        the row's examples, or `RowError` with the reason
"""
