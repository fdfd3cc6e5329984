"""Elasticsearch passes the suite: a real server where `engines/elasticsearch.py` finds one, else an emulator."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from engines.elasticsearch import client_folders, installation
from engines.packages import cache

from dizuo.errors import VectorError
from dizuo.testing import VectorStoreSuite
from dizuo.testing.vectors.areas.hybrid import Hybrid
from dizuo.testing.vectors.areas.namespaces import Namespaces
from dizuo.testing.vectors.areas.scans import Scans
from dizuo.testing.vectors.areas.words import Words
from dizuo.testing.vectors.areas.writing import Writing
from dizuo.testing.vectors.samples import AWKWARD_NUMBERS
from dizuo.vectors import Point, connect

pytest.importorskip("elasticsearch")


REAL = installation() is not None or bool(os.environ.get("DIZUO_TEST_ELASTICSEARCH_URL"))


@pytest.mark.slow
class TestElasticsearch(VectorStoreSuite):
    namespaces_at_once = 10_500  # a `terms` aggregation lists 10,000
    kind = "real" if REAL else "emulator"
    examples = 10

    @pytest.fixture
    def url(self, engine_elasticsearch: Any) -> str:
        return str(engine_elasticsearch.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        from engines.server import free_port

        return f"elasticsearch://127.0.0.1:{free_port()}"

    @pytest.fixture
    def denied_url(self, engine_elasticsearch: Any) -> str | None:
        url: str | None = engine_elasticsearch.wrong_password_url
        return url

    @pytest.fixture
    def breakable(self, engine_elasticsearch: Any) -> tuple[str, Callable[[], None]]:
        """Return the one server of the session: a second takes 12 s and 1 GB; the next test starts it again."""
        if not hasattr(engine_elasticsearch, "kill"):
            pytest.skip("not applicable: a server that the environment names is not ours to kill")
        return engine_elasticsearch.url, engine_elasticsearch.kill


@pytest.mark.slow
class TestElasticsearchIndexPerNamespace(Namespaces, Hybrid, Words, Scans, Writing):
    options: ClassVar[dict[str, Any]] = {"index_per": "namespace"}
    examples = 6

    @pytest.fixture
    def url(self, engine_elasticsearch: Any) -> str:
        return str(engine_elasticsearch.url)


@pytest.mark.slow
class TestElasticsearchWithExactWords(Hybrid, Words):
    @pytest.fixture(autouse=True)
    def words(self, tmp_path: Path) -> None:
        self.options = {"lexical": str(tmp_path / "words")}

    @pytest.fixture
    def url(self, engine_elasticsearch: Any) -> str:
        return str(engine_elasticsearch.url)


@pytest.mark.slow
def test_an_index_for_each_namespace_is_a_fact_of_the_collection(engine_elasticsearch: Any) -> None:
    store = connect(engine_elasticsearch.url, dim=2, collection="apart", index_per="namespace")
    try:
        assert store.capabilities.words_cover == "namespace"
        for name in ("one", "two", "租户"):
            store.namespace(name).upsert([Point("a", [1, 0], {}, "tea"), Point("b", [0, 1], {}, f"tea {name}")])
        again = connect(engine_elasticsearch.url, collection="apart")
        assert again.capabilities.words_cover == "namespace"
        assert again.namespaces() == {"one": 2, "two": 2, "租户": 2}
        assert again.namespace("two").words("two").ids == ["b"]
        assert again.namespace("nobody").words("tea") == []
        assert again.namespace("nobody").delete(["a"]) == 0
        assert again.namespace("nobody").update_metadata({"a": {"x": 1}}) == 0
        assert sorted(again.store.client.indices.get_mapping(index=f"{again.store.name}*")) == sorted(  # type: ignore[attr-defined]
            [again.store.name, *(again.store.indices.of(name).lower() for name in ("one", "two", "租户"))]  # type: ignore[attr-defined]
        )
    finally:
        store.drop()
    assert not dict(store.store.client.indices.get_mapping(index=f"{store.store.name}*"))  # type: ignore[attr-defined]


def test_numbers_as_texts_have_the_order_of_numbers() -> None:
    from dizuo.vectors.stores.elasticsearch.bulk import order_number

    numbers = sorted({float(number) for number in AWKWARD_NUMBERS} | {-0.5, -1e-300, math.nextafter(1.0, 2.0)})
    assert [order_number(number) for number in numbers] == sorted(map(order_number, numbers))
    assert len({order_number(number) for number in numbers}) == len(numbers)
    assert order_number(-0.0) == order_number(0.0)


# ---- clients of other versions

CONNECT = """
import sys
from dizuo.errors import VectorError
from dizuo.vectors import Point, connect
try:
    connect(sys.argv[1], dim=2, collection="another client").drop()
except VectorError as error:
    print(error)
else:
    print("it works")
"""


def connect_with(major: int, url: str) -> str:
    """Return what a process says that connects with a client of this version."""
    paths = [*client_folders(major), *filter(None, [os.environ.get("PYTHONPATH")])]
    installed = [path for path in paths if Path(path).parent != cache() or path in client_folders(major)]
    run = subprocess.run(
        [sys.executable, "-c", CONNECT, url], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(installed)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(installation() is None, reason="the emulator takes every client")
@pytest.mark.parametrize("major", [8, 9])
def test_a_client_that_the_server_refuses_is_told_what_to_install_before_anything_is_written(
    major: int, engine_elasticsearch: Any
) -> None:
    if not hasattr(engine_elasticsearch, "major"):
        pytest.skip("not applicable: a server that the environment names")
    told = connect_with(major, engine_elasticsearch.url)
    if major <= engine_elasticsearch.major:  # a server takes clients of its own version and of the one before
        assert told == "it works"
        return
    version = engine_elasticsearch.version
    assert f"is an Elasticsearch of version {version}, and the client elasticsearch {major}." in told
    assert told.endswith('hint: pip install "elasticsearch>=8,<9"')
    with connect(engine_elasticsearch.url, dim=2, collection="right client") as store:
        assert list(store.store.client.indices.get(index="*another*")) == []  # type: ignore[attr-defined]
        store.drop()


class RefusingServerFake(BaseHTTPRequestHandler):
    """A server of version `major` that takes no client of another one; the answers are those of a real 8.19.4."""

    major = 0
    shows_version = True
    written: ClassVar[list[str]] = []

    def answer(self) -> None:
        found = re.search(r"compatible-with=(\d+)", self.headers.get("Accept", ""))
        if found is None and self.path == "/" and self.shows_version:
            self.send({"version": {"number": f"{self.major}.1.2"}}, 200)
        elif found is None:
            self.send({"error": {"type": "security_exception", "reason": "unauthorized"}, "status": 403}, 403)
        else:
            reason = f"Accept version must be either version {self.major} or {self.major - 1}, but found {found[1]}."
            error = {"type": "media_type_header_exception", "reason": "Invalid media-type value on headers [Accept]"}
            self.send({"error": {**error, "caused_by": {"reason": reason}}, "status": 400}, 400)
        if self.command != "GET":
            self.written.append(self.path)

    do_GET = do_PUT = do_POST = answer

    def send(self, body: dict[str, Any], status: int) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("shows_version", [True, False])
@pytest.mark.parametrize("major", [7, 10])
def test_a_refused_client_is_told_the_servers_version_by_a_fake_of_it(major: int, shows_version: bool) -> None:
    kind = type("Fake", (RefusingServerFake,), {"major": major, "shows_version": shows_version, "written": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"elasticsearch://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(VectorError) as caught:
            connect(url, dim=2, collection="refused")
        server.shutdown()
    version = f"{major}.1.2" if shows_version else f"{major}"
    assert caught.value.message.startswith(f"{url} is an Elasticsearch of version {version}, and the client")
    assert caught.value.hint == f'pip install "elasticsearch>={major},<{major + 1}"'
    assert kind.written == []  # type: ignore[attr-defined]
