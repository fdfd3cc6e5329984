"""ModelScope's own client, on a hub of our own that speaks its protocol. `make test-others` installs the client."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dizuo.artifacts import digest_file, resolve
from dizuo.errors import ArtifactError
from dizuo.testing import SourceSuite

pytestmark = pytest.mark.filterwarnings("ignore")  # its client's own

CARD = b"---\nlicense: apache-2.0\n---\n"
REPOSITORIES = {
    "org/quants": {"README.md": CARD, "LICENSE": b"the licence", "m-Q4_K_M.gguf": b"four", "m-Q8_0.gguf": b"eight"},
    "org/both": {"README.md": CARD, "config.json": b"{}", "model.safetensors": b"weights", "m.gguf": b"four"},
    "org/pickle": {
        "README.md": CARD,
        "config.json": b"{}",
        "model.safetensors": b"w",
        "a.bin": b"a pickle",
        "b.py": b"",
    },
}
REVISIONS = ["master", "v1"]


class Hub(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(url.query).items()}
        for name, files in REPOSITORIES.items():
            start = f"/api/v1/models/{name}"
            if url.path == f"{start}/repo/files":
                self.send_json({"Files": [self.entry(file, content) for file, content in files.items()]})
                return
            if url.path == f"{start}/revisions":
                named = [{"Revision": revision, "CreatedAt": 1} for revision in REVISIONS]
                self.send_json({"RevisionMap": {"Branches": named[:1], "Tags": named[1:]}})
                return
            if url.path == f"{start}/repo" and given.get("FilePath") in files:
                type(self).asked.append(given["FilePath"])
                self.send(files[given["FilePath"]])
                return
            if url.path == start:
                self.send_json({"Id": 1, "Name": name.partition("/")[2], "Path": "org", "Visibility": 5})
                return
        self.send(b'{"Code": 10010205001, "Message": "not found", "Success": false}', status=404)

    do_HEAD = do_GET

    def entry(self, file: str, content: bytes) -> dict[str, Any]:
        return {
            "Path": file, "Name": file, "Type": "blob", "Size": len(content), "Revision": "c0ffee",
            "Sha256": hashlib.sha256(content).hexdigest(),
        }  # fmt: skip

    def send_json(self, data: Any) -> None:
        self.send(json.dumps({"Code": 200, "Success": True, "Data": data}).encode())

    def send(self, content: bytes, *, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadingHTTPServer]:
    """The hub; the client asks the environment for it once in a process."""
    pytest.importorskip("modelscope")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELSCOPE_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("MODELSCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub(server: ThreadingHTTPServer) -> list[str]:
    """The files that the hub was asked for."""
    Hub.asked.clear()
    return Hub.asked


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir() if not each.name.startswith("."))


def test_weights_are_fetched_without_pickles_and_code_and_verified(hub: list[str]) -> None:
    artifact = resolve("modelscope:org/pickle")
    assert names(artifact.path) == ["README.md", "config.json", "model.safetensors"]
    assert set(hub) == {"README.md", "config.json", "model.safetensors"}
    assert artifact.licence == "apache-2.0"


def test_several_gguf_files_are_listed_and_an_inner_path_fetches_one(hub: list[str]) -> None:
    with pytest.raises(ArtifactError, match="holds 2 GGUF files") as raised:
        resolve("modelscope:org/quants")
    assert raised.value.details == ("m-Q4_K_M.gguf", "m-Q8_0.gguf")
    assert hub == []
    artifact = resolve("modelscope:org/quants/m-Q8_0.gguf")
    assert artifact.path.read_bytes() == b"eight"
    assert artifact.digest == digest_file(artifact.path)
    assert set(hub) == {"README.md", "LICENSE", "m-Q8_0.gguf"}
    assert [path.name for path in artifact.licence_files] == ["LICENSE"]


def test_safetensors_are_taken_and_the_gguf_beside_them_is_not(hub: list[str]) -> None:
    assert names(resolve("modelscope:org/both@v1").path) == ["README.md", "config.json", "model.safetensors"]


class TestModelScope(SourceSuite):
    name = "modelscope"
    written = "modelscope:org/name/inner@main"
    malformed = ("modelscope:", "modelscope:name", "modelscope:org/name@", "modelscope:org/../name")

    @pytest.fixture
    def address(self, hub: list[str]) -> str:
        return "modelscope:org/both"

    @pytest.fixture
    def missing(self, hub: list[str]) -> str:
        return "modelscope:org/both/nothing-here"


def test_what_was_fetched_once_is_there_without_the_hub(server: ThreadingHTTPServer) -> None:
    """The last test: the hub is gone afterwards."""
    before = resolve("modelscope:org/both")
    server.shutdown()
    server.server_close()
    after = resolve("modelscope:org/both")
    assert (after.path, after.digest) == (before.path, before.digest)
