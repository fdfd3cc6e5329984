"""What every embedder does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import ClassVar

import numpy as np
import pytest

from dizuo.errors import VectorError
from dizuo.events import ignore
from dizuo.vectors.embedders import EMBEDDERS, Embedder, TextKind, open_embedder

__all__ = ["EmbedderSuite"]


class EmbedderSuite:
    """Subclass it with the embedder's `name`, and with an `address` where the name alone opens none."""

    name: str
    """The name of its file, or of its entry point."""
    options: ClassVar[Mapping[str, object]] = {}
    """What `open_embedder` is given beside the address."""
    tolerance: float = 1e-4
    """How far two components of a text's vector may lie apart when the text runs in another batch."""
    texts: tuple[str, ...] = (
        "The database is fast", "", "数据库很快", "a", " ", "The cat sleeps", "a\0b\n\t", "word " * 3000, "😀 🇩🇪 é",
        "The cat sleeps",
    )  # fmt: skip
    """What is embedded."""

    @pytest.fixture
    def address(self) -> str:
        """Return what a user gives to `open_embedder`."""
        return self.name

    @pytest.fixture
    def open_it(self, address: str) -> Iterator[Callable[[], Embedder]]:
        """Return a function that opens the embedder as users do; those that hold a connection are closed at the end."""
        with ExitStack() as stack:

            def open_one() -> Embedder:
                embedder = open_embedder(address, watch=ignore, **self.options)
                stack.callback(getattr(embedder, "close", lambda: None))
                return embedder

            yield open_one

    @pytest.fixture
    def embedder(self, open_it: Callable[[], Embedder]) -> Embedder:
        """Return the embedder under test."""
        return open_it()

    def test_it_is_found_by_its_name(self) -> None:
        assert self.name in EMBEDDERS.names()
        kind = EMBEDDERS.load(self.name)
        assert kind.name == self.name
        assert bool(kind.package) == bool(kind.extra), "who is told of a missing package is told how to install it"

    def test_it_says_what_it_is(self, embedder: Embedder) -> None:
        assert isinstance(embedder, Embedder)
        assert embedder.name
        assert embedder.digest.startswith("sha256:")
        assert embedder.dim >= 1
        assert embedder.max_tokens is None or embedder.max_tokens >= 1
        assert embedder.metric in ("cosine", "dot", "l2")

    @pytest.mark.parametrize("kind", ["query", "document"])
    def test_every_text_has_a_vector(self, embedder: Embedder, kind: TextKind) -> None:
        vectors_ND = embedder.embed(self.texts, kind=kind)
        assert vectors_ND.shape == (len(self.texts), embedder.dim)
        assert vectors_ND.dtype == np.float32
        assert np.isfinite(vectors_ND).all()

    def test_no_texts_have_no_vectors(self, embedder: Embedder) -> None:
        vectors_ND = embedder.embed([])
        assert vectors_ND.shape == (0, embedder.dim)
        assert vectors_ND.dtype == np.float32

    def test_a_texts_vector_does_not_depend_on_the_others(self, embedder: Embedder) -> None:
        together_ND = embedder.embed(self.texts)
        np.testing.assert_allclose(embedder.embed(self.texts[::-1])[::-1], together_ND, atol=self.tolerance)
        alone_ND = np.concatenate([embedder.embed([text]) for text in self.texts])
        np.testing.assert_allclose(alone_ND, together_ND, atol=self.tolerance)

    def test_different_texts_have_different_vectors(self, embedder: Embedder) -> None:
        vectors_ND = embedder.embed(["The database is fast", "The cat sleeps"])
        assert not np.allclose(vectors_ND[0], vectors_ND[1], atol=self.tolerance)

    def test_one_digest_means_the_same_vectors(self, open_it: Callable[[], Embedder], embedder: Embedder) -> None:
        again = open_it()
        assert (again.digest, again.dim, again.metric) == (embedder.digest, embedder.dim, embedder.metric)
        np.testing.assert_allclose(again.embed(self.texts), embedder.embed(self.texts), atol=self.tolerance)

    def test_it_counts_tokens_or_says_that_nobody_knows(self, embedder: Embedder) -> None:
        counts = embedder.count_tokens(["a", "a b c d", "word " * 3000])
        if counts is None:
            assert embedder.count_tokens([""]) is None
            return
        assert len(counts) == 3
        assert all(type(count) is int and count >= 0 for count in counts)
        assert counts[0] <= counts[1] <= counts[2]
        assert counts[2] > min(1000, embedder.max_tokens or 1000), "a text is counted uncut"
        assert embedder.count_tokens([]) == []

    def test_half_a_character_is_refused(self, embedder: Embedder) -> None:
        with pytest.raises(VectorError, match="half a character"):
            embedder.embed(["fine", "a\ud800"])

    def test_a_misspelt_option_is_refused(self, address: str) -> None:
        with pytest.raises(VectorError, match="has no option 'no_such_option'"):
            open_embedder(address, no_such_option=1)
