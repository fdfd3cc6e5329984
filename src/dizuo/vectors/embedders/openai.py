"""Endpoints with OpenAI's embeddings API: `http://host:8000/v1#model`, `https://api.openai.com/v1#text-embedding-3-small`.
A login in the address (`http://user:password@host/v1#model`) is sent as HTTP has it, and is no part of the name.

`POST {base}/embeddings` with `{"model", "input", "encoding_format": "base64"}` (OpenAI API reference, "Create
embeddings"; servers that only know lists of numbers answer with those). Batches by number of texts and characters;
429, 500–504 and broken connections are tried again with growing, jittered pauses, `Retry-After` obeyed.

Only the standard library: one connection, kept open.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from dizuo.errors import VectorError
from dizuo.events import Note, Watcher, ignore
from dizuo.redaction import Secret, hide_login, split_login
from dizuo.vectors.embedders import EmbedderKind, TextKind
from dizuo.vectors.knowledge.text_models import check_texts, check_vectors, hash_facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EMBEDDER", "Endpoint"]

_AGAIN = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Options:
    """What `open_embedder` takes for an endpoint."""

    key: Secret | None = None
    """The API key; the environment's OPENAI_API_KEY where there is one, for https only."""
    query_prompt: str = ""
    """Put before every query."""
    document_prompt: str = ""
    """Put before every document."""
    dimensions: int | None = None
    """Ask the server for shorter vectors, where its model can."""
    batch_texts: int = 128
    """Texts of one request."""
    batch_characters: int = 200_000
    """Characters of one request."""
    max_tokens: int | None = None
    """What the model reads; for the chunker, the server cuts or refuses by itself."""
    tries: int = 6
    """Requests before a batch is given up."""
    timeout: float = 120.0
    """Seconds for one request."""


class Endpoint:
    """A model behind an address; see `dizuo.vectors.embedders.Embedder`.

    Its digest is that of its address, name and settings: nobody outside can see whether the weights changed.
    """

    def __init__(self, base: str, model: str, options: Options, login: str | None = None) -> None:
        try:
            parts = urlsplit(base)
            host, port = parts.hostname, parts.port
        except ValueError:  # its text quotes what was taken for the port, which may be a password
            host, port = None, None
        if not host or re.search(r"[^\w.%:-]", host):
            raise VectorError("this is no address of a server", hint="write it as http://host:8000/v1#model")
        self._secure, self._host, self._port = parts.scheme == "https", host, port
        self._login = login
        self._path = parts.path.rstrip("/") + "/embeddings"
        self._options, self._tries = options, max(1, options.tries)
        self._prompts = {"query": options.query_prompt, "document": options.document_prompt}
        self._connection: http.client.HTTPConnection | None = None
        self.model, self.name, self.max_tokens = model, f"{base}#{model}", options.max_tokens
        self.metric: Literal["cosine", "dot", "l2"] = "cosine"
        facts = {"address": self.name, "prompts": self._prompts, "dimensions": options.dimensions}
        self.digest = hash_facts(facts)
        try:
            self.dim = len(self._ask(["dimensions"], ignore)[0])
        except VectorError:
            self.close()
            raise

    def embed(
        self, texts: Sequence[str], *, kind: TextKind = "document", watch: Watcher = ignore
    ) -> NDArray[np.float32]:
        """Return float32 [N, D]. An empty text is sent as one space, since the API refuses empty input."""
        import numpy as np

        check_texts(texts, kind)
        vectors = np.zeros((len(texts), self.dim), np.float32)
        done = 0
        for part in self._batches(texts):
            sent = [(self._prompts[kind] + text) or " " for text in part]
            vectors[done : done + len(part)] = check_vectors(self._ask(sent, watch), part, self.dim, self.name)
            done += len(part)
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int] | None:
        """Return None: the API has no call for it."""
        return None

    def close(self) -> None:
        """Close the connection; it is opened again when needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        part: list[str] = []
        size = 0
        for text in texts:
            if part and (len(part) == self._options.batch_texts or size + len(text) > self._options.batch_characters):
                yield part
                part, size = [], 0
            part.append(text)
            size += len(text)
        if part:
            yield part

    def _ask(self, texts: list[str], watch: Watcher) -> list[Any]:
        body: dict[str, Any] = {"model": self.model, "input": texts, "encoding_format": "base64"}
        if self._options.dimensions is not None:
            body["dimensions"] = self._options.dimensions
        answer = self._post(json.dumps(body).encode(), watch)
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors = [_vector(row["embedding"]) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise VectorError(f"{self.name} did not answer as the embeddings API does: {str(answer)[:200]}") from error
        if [row["index"] for row in rows] != list(range(len(texts))):
            raise VectorError(f"{self.name} returned {len(rows)} vectors for {len(texts)} texts")
        return vectors

    def _post(self, body: bytes, watch: Watcher) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._options.key:
            headers["Authorization"] = f"Bearer {self._options.key.reveal()}"
        elif self._login is not None:
            pair = base64.b64encode(unquote(self._login).encode("utf-8")).decode("ascii")
            headers["Authorization"] = f"Basic {pair}"
        reason = ""
        for attempt in range(self._tries):
            wait = 2**attempt * random.uniform(0.25, 0.5)
            try:
                connection = self._connected()
                connection.request("POST", self._path, body, headers)
                response = connection.getresponse()
                text = response.read().decode("utf-8", "replace")
            except (OSError, http.client.HTTPException) as error:
                self.close()
                reason = f"{type(error).__name__}: {error}"
            else:
                if response.status == 200:
                    try:
                        return json.loads(text)
                    except ValueError as error:
                        raise VectorError(f"{self.name} answered, but not in JSON: {text[:200]!r}") from error
                reason = f"{response.status} {response.reason}: {_message(text)}"
                if response.status not in _AGAIN:
                    raise VectorError(f"{self.name} refused the texts: {reason}", hint=_hint(response.status))
                wait = max(wait, _seconds(response.headers.get("Retry-After")))
            if attempt + 1 < self._tries:
                watch(Note(f"{self.name}: {reason}; trying again in {wait:.1f} s"))
                time.sleep(wait)
        raise VectorError(
            f"{self.name} does not answer after {self._tries} tries: {reason}",
            hint="is the server up, and its address right?",
        )

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=self._options.timeout)
        return self._connection


def open_endpoint(address: str, options: Options, watch: Watcher) -> Endpoint:
    """Return the embedder at `http(s)://host[:port]/path#model`; one short text is sent to learn its dimensions.

    Raises:
        VectorError: no model is named, nobody answers, or the key is refused.
    """
    scheme, _, rest = address.partition("://")
    login, place, query = split_login(rest)
    if login is not None:
        hide_login(login)
    base, _, model = f"{scheme}://{place}{f'?{query}' if query else ''}".partition("#")
    if not model:
        raise VectorError(f"{base} names no model", hint=f"write {base}#model, as the server calls it")
    if options.key is None and login is None and scheme == "https" and (key := os.environ.get("OPENAI_API_KEY")):
        options = replace(options, key=Secret(key))
    if options.key and not options.key.reveal().isascii():
        raise VectorError("the key has a character that HTTP does not let stand in a header", hint="copy it once more")
    return Endpoint(base.rstrip("/"), model, options, login)


def _vector(value: Any) -> Any:
    if isinstance(value, str):
        import numpy as np

        return np.frombuffer(base64.b64decode(value, validate=True), "<f4")
    return value


def _message(text: str) -> str:
    try:
        answer = json.loads(text)
        error = answer.get("error", answer)
        return str(error.get("message", error) if isinstance(error, dict) else error)[:300]
    except (ValueError, AttributeError):
        return text.strip()[:300]


def _hint(status: int) -> str:
    if status in (401, 403):
        return "give the key: open_embedder(…, key=…), or set OPENAI_API_KEY for an https address"
    if status == 404:
        return "check the path (most end in /v1) and the model's name"
    return "the texts may be longer than the model reads: make the chunks smaller"


def _seconds(value: str | None) -> float:
    try:
        return min(60.0, max(0.0, float(value or 0)))
    except ValueError:
        return 0.0


EMBEDDER = EmbedderKind(options=Options, open=open_endpoint)
