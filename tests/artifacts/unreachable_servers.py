"""Real servers on 127.0.0.1 that are out of reach in every way that companies' networks know."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"README.md": b"---\nlicense: mit\n---\n", "config.json": b"{}", "model.safetensors": b"weights"}
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serve(answer: Answer, *, certificate: Path | None = None) -> Iterator[str]:
    """Yield the URL of a server that answers every GET and HEAD as told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_HEAD = do_CONNECT = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:  # a client that does not trust us hangs up
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def listen() -> Iterator[str]:
    """Yield the URL of a socket that accepts connections and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


def closed() -> str:
    """Return the URL of a port where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def status(code: int) -> Answer:
    """Answer everything with one status."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        send(request, b"no", code)

    return answer


def send(request: BaseHTTPRequestHandler, content: bytes, code: int = 200, **headers: str) -> None:
    request.send_response(code)
    for name, value in {"Content-Length": str(len(content)), **headers}.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content)


def hub(data: str | None = None) -> Answer:
    """Answer as Hugging Face, ModelScope and a package index do; data is elsewhere where `data` is given."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        if path.startswith("/api/models/org/name/tree/"):
            tree = [{"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for name, content in FILES.items()]  # fmt: skip
            return send(request, json.dumps(tree).encode())
        if path.startswith("/api/models/org/name"):
            facts = {"id": "org/name", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
            return send(request, json.dumps(facts).encode())
        if path.startswith("/api/v1/models/org/name/repo/files"):
            listed = [{"Path": name, "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest()}
                      for name, content in FILES.items()]  # fmt: skip
            return send(request, json.dumps({"Code": 200, "Success": True, "Data": {"Files": listed}}).encode())
        if path == "/api/v1/models/org/name/revisions":
            names = {"RevisionMap": {"Branches": [{"Revision": "master"}], "Tags": []}}
            return send(request, json.dumps({"Code": 200, "Success": True, "Data": names}).encode())
        if path == "/simple/some-model/":
            where = data or ""
            page = f'<a href="{where}/files/some_model-1.0-py3-none-any.whl">some_model-1.0-py3-none-any.whl</a>'
            return send(request, page.encode(), Content_Type="text/html")
        name = path.rpartition("/")[2] if "/resolve/" in path else (query.get("FilePath") or [""])[0]
        if name in FILES:
            if data is not None:
                return send(request, b"", 302, Location=f"{data}/cdn/{name}?signature=long")
            oid = hashlib.sha1(FILES[name]).hexdigest()
            return send(request, FILES[name], ETag=f'"{oid}"', X_Repo_Commit=COMMIT)
        return send(request, b"{}", 404)

    return answer


def make_certificate(folder: Path) -> Path:
    """Write a certificate that nobody trusts, with its key."""
    path = folder / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (folder / "cert.pem").read_bytes())
    return path
