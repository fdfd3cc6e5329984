"""A digest of every record, the same in every database. Copies and exports are verified by it.

The digest covers namespace, id, vector (little-endian float32), metadata (JSON with sorted keys) and document. The
checksum of a set of records is the sum of their digests modulo 2^128, so it does not depend on their order.
"""

from __future__ import annotations

import hashlib
import json

from dizuo.vectors.points import Block

__all__ = ["Checksum", "digest_rows"]


def digest_rows(block: Block, namespace: str) -> list[bytes]:
    """Return a digest of 16 bytes for each record of a block, which has all columns."""
    vectors = block.vectors.astype("<f4", copy=False)
    size = 4 * vectors.shape[1]
    raw = vectors.tobytes()
    digests = []
    for row, (id, metadata, document) in enumerate(zip(block.ids, block.metadata, block.documents, strict=True)):
        text = json.dumps(metadata, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        head = json.dumps([namespace, id, text, document], ensure_ascii=False).encode("utf-8")
        digest = hashlib.blake2b(head, digest_size=16)
        digest.update(raw[row * size : (row + 1) * size])
        digests.append(digest.digest())
    return digests


class Checksum:
    """The checksum of a growing set of records."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, digests: list[bytes]) -> None:
        """Add further records."""
        self.count += len(digests)
        self._sum = (self._sum + sum(int.from_bytes(digest, "big") for digest in digests)) % 2**128

    def __str__(self) -> str:
        return f"{self._sum:032x}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checksum) and (self.count, str(self)) == (other.count, str(other))

    __hash__ = None  # type: ignore[assignment]
