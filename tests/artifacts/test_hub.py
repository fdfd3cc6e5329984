"""Hub repositories with several models in them, from a hub of our own that speaks Hugging Face's protocol."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from dizuo.artifacts import digest_file, parse, resolve
from dizuo.artifacts.hubs import choose_files
from dizuo.errors import ArtifactError
from dizuo.testing import SourceSuite

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CARD = b"---\nlicense: apache-2.0\n---\n"
REPOSITORIES = {
    "org/quants": {
        "README.md": CARD, "LICENSE": b"the licence", "m-Q4_K_M.gguf": b"GGUF four", "m-Q8_0.gguf": b"GGUF eight",
        "mmproj-m.gguf": b"GGUF eyes", "deep/m-F16.gguf": b"GGUF sixteen",
    },
    "org/both": {"README.md": CARD, "config.json": b"{}", "model.safetensors": b"weights", "m.gguf": b"GGUF four"},
    "org/one": {"README.md": CARD, "m.gguf": b"GGUF only", "weights.bin": b"a pickle"},
}  # fmt: skip


class Hub(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        type(self).asked.append(f"{self.command} {path}")
        for name, files in REPOSITORIES.items():
            api = f"/api/models/{name}"
            if path.startswith(f"{api}/tree/"):
                tree = [{"type": "file", "path": f, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                        for f, c in files.items()]  # fmt: skip
                self.send(json.dumps(tree).encode(), body=body)
                return
            if path == api or path.startswith(f"{api}/revision/"):
                facts = {"id": name, "modelId": name, "sha": COMMIT, "siblings": [{"rfilename": f} for f in files]}
                self.send(json.dumps(facts).encode(), body=body)
                return
            start = f"/{name}/resolve/{COMMIT}/"
            if path.startswith(start) and path.removeprefix(start) in files:
                content = files[path.removeprefix(start)]
                self.send(content, body=body, ETag=f'"{hashlib.sha1(content).hexdigest()}"')
                return
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, content: bytes, *, body: bool, **headers: str) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content)), "X-Repo-Commit": COMMIT}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the hub was asked for."""
    import huggingface_hub.constants as constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", endpoint, raising=False)
    Hub.asked.clear()
    yield Hub.asked
    server.shutdown()
    server.server_close()


def fetched(hub: list[str]) -> set[str]:
    return {line.rpartition("/")[2] for line in hub if line.startswith("GET ") and "/resolve/" in line}


def test_several_gguf_files_are_listed_and_none_is_fetched(hub: list[str]) -> None:
    with pytest.raises(ArtifactError) as raised:
        resolve("hf:org/quants")
    assert str(raised.value) == (
        "hf:org/quants holds 3 GGUF files, each of them a model\n"
        "  deep/m-F16.gguf\n  m-Q4_K_M.gguf\n  m-Q8_0.gguf\n\n"
        "hint: name one: hf:org/quants/deep/m-F16.gguf"
    )
    assert fetched(hub) == set()


def test_an_inner_path_fetches_one_file_and_its_terms(hub: list[str]) -> None:
    artifact = resolve("hf:org/quants/m-Q8_0.gguf")
    assert artifact.path.read_bytes() == b"GGUF eight"
    assert artifact.digest == digest_file(artifact.path)
    assert artifact.address == f"hf:org/quants/m-Q8_0.gguf@{COMMIT}"
    assert (artifact.licence, [path.name for path in artifact.licence_files]) == ("apache-2.0", ["LICENSE"])
    assert fetched(hub) == {"README.md", "LICENSE", "m-Q8_0.gguf"}
    again = resolve(artifact.address)
    assert (again.path, again.digest) == (artifact.path, artifact.digest)
    deep = resolve("hf:org/quants/deep@main")
    assert [path.name for path in deep.path.iterdir()] == ["m-F16.gguf"]


def test_an_inner_path_that_is_not_there_names_the_near_one(hub: list[str]) -> None:
    with pytest.raises(ArtifactError) as raised:
        resolve("hf:org/quants/m-Q8_1.gguf")
    assert raised.value.message == ("hf:org/quants has nothing at m-Q8_1.gguf (did you mean 'm-Q8_0.gguf'?)")
    assert raised.value.details == ("deep/m-F16.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf")
    assert fetched(hub) == set()


def test_safetensors_are_taken_and_the_gguf_beside_them_is_not(hub: list[str]) -> None:
    artifact = resolve("hf:org/both")
    assert sorted(path.name for path in artifact.path.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_one_gguf_needs_no_inner_path(hub: list[str]) -> None:
    artifact = resolve("hf:org/one")
    assert sorted(path.name for path in artifact.path.iterdir()) == ["README.md", "m.gguf"]


def test_without_a_listing_everything_but_pickles_and_code_is_asked_for() -> None:
    assert "*.bin" in choose_files(parse("hf:org/name"), None)["ignore_patterns"]
    assert choose_files(parse("modelscope:org/name/x.gguf"), None)["allow_patterns"][0] == "x.gguf"


class TestHuggingFace(SourceSuite):
    name = "hf"
    malformed = ("hf:", "hf:name", "hf:org/name@", "hf:org/../name", "hf:org/name/../x")

    @pytest.fixture
    def address(self, hub: list[str]) -> str:
        return "hf:org/both"

    @pytest.fixture
    def missing(self, hub: list[str]) -> str:
        return "hf:org/both/nothing-here"
