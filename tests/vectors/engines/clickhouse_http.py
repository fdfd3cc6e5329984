"""ClickHouse's HTTP interface over chdb: `python clickhouse_http.py PORT FOLDER PASSWORD`.

The engine is ClickHouse's own, in this process; only the HTTP protocol around it is written here, after "HTTP
Interface" of ClickHouse's documentation: the query in the URL or the body, settings and `param_*` in the URL, basic
authentication or the headers X-ClickHouse-User/-Key, compressed bodies, errors as text with an exception code.
Sessions (`session_id`) keep a connection; every other request has one of its own.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import sys
import tempfile
import threading
import zlib
from typing import Any

import chdb
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

HANDLED = {
    "query", "database", "default_format", "session_id", "session_timeout", "session_check", "query_id", "quota_key",
    "user", "password", "compress", "decompress", "wait_end_of_query", "client_protocol_version", "role",
    "buffer_size", "enable_http_compression", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close",
}  # fmt: skip
"""URL parameters that are the protocol's own; every other one is a setting of the query."""
INSERT = re.compile(rb"\A\s*INSERT\s+INTO\s+(?P<into>.+?)\s+FORMAT\s+(?P<format>\w+)[ \t]*(?:\r?\n|\Z)", re.I | re.S)
FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.I)
UNAUTHORISED = 516


class Engine:
    """Connections to the one engine of this process."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.first = chdb.connect(folder)  # keeps the engine open between requests
        self.sessions: dict[str, tuple[Any, threading.Lock]] = {}
        self.lock = threading.Lock()

    def run(self, parameters: dict[str, str], body: bytes) -> tuple[bytes, str, dict[str, Any]]:
        """Return the answer's bytes, its format, and the summary."""
        session = parameters.get("session_id")
        if not session:
            connection = chdb.connect(self.folder)
            try:
                return self._run(connection, parameters, body)
            finally:
                connection.close()
        with self.lock:
            connection, lock = self.sessions.setdefault(session, (chdb.connect(self.folder), threading.Lock()))
        with lock:
            return self._run(connection, parameters, body)

    def _run(self, connection: Any, parameters: dict[str, str], body: bytes) -> tuple[bytes, str, dict[str, Any]]:
        if database := parameters.get("database"):
            connection.query("USE " + "`" + database.replace("\\", "\\\\").replace("`", "\\`") + "`", "TabSeparated")
        for name, value in parameters.items():
            if name not in HANDLED and not name.startswith("param_"):
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                connection.query(f"SET {name} = '{quoted}'", "TabSeparated")
        bound = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
        head = parameters.get("query", "").encode()
        if head and body and INSERT.match(head):
            head += b"\n"
        statement = head + body
        if match := INSERT.match(statement):
            return self._insert(connection, match, statement[match.end() :], bound)
        found = FORMAT.search(statement)
        format_ = found[1].decode() if found else parameters.get("default_format", "TabSeparated")
        result = connection.query(statement.decode(), format_, params=bound)
        return result.bytes(), format_, {"read_rows": str(result.rows_read()), "read_bytes": str(result.bytes_read())}

    def _insert(
        self, connection: Any, match: re.Match[bytes], data: bytes, bound: dict[str, str]
    ) -> tuple[bytes, str, dict[str, Any]]:
        with tempfile.NamedTemporaryFile(dir=self.folder + ".incoming", delete=False) as file:
            file.write(data)
        try:
            into, format_ = match["into"].decode(), match["format"].decode()
            result = connection.query(
                f"INSERT INTO {into} FROM INFILE '{file.name}' FORMAT {format_}", "TabSeparated", params=bound
            )
        finally:
            os.unlink(file.name)
        return b"", "TabSeparated", {"written_rows": str(result.rows_read())}


def decompressed(body: bytes, encoding: str | None) -> bytes:
    if encoding in (None, "", "identity"):
        return body
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding == "lz4":
        import lz4.frame

        return lz4.frame.decompress(body)
    if encoding == "zstd":
        from backports import zstd

        return zstd.decompress(body)
    raise ValueError(f"Unknown compression method: {encoding}")


def application(engine: Engine, password: str) -> Starlette:
    async def answer(request: Request) -> Response:
        if request.url.path == "/ping":
            return Response("Ok.\n")
        if not allowed(request, password):
            return failed(UNAUTHORISED, f"Code: {UNAUTHORISED}. DB::Exception: default: Authentication failed", 403)
        try:
            parameters = dict(request.query_params)
            body = decompressed(await request.body(), request.headers.get("content-encoding"))
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                parameters |= {name: str(value) for name, value in (await request.form()).items()}
                body = b""
            data, format_, summary = await run_in_threadpool(engine.run, parameters, body)
        except Exception as error:
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            return failed(int(code[1]) if code else 1002, text, 404 if code and code[1] in ("60", "81") else 500)
        headers = {
            "X-ClickHouse-Format": format_,
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Summary": json.dumps(summary),
            "X-ClickHouse-Query-Id": request.query_params.get("query_id", ""),
        }
        return Response(data, headers=headers, media_type="application/octet-stream")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def allowed(request: Request, password: str) -> bool:
    given = request.headers.get("x-clickhouse-key") or request.query_params.get("password", "")
    if (authorization := request.headers.get("authorization", "")).startswith("Basic "):
        given = base64.b64decode(authorization[6:]).decode().partition(":")[2]
    return given == password


def failed(code: int, text: str, status: int) -> Response:
    return Response(text + "\n", status, headers={"X-ClickHouse-Exception-Code": str(code)}, media_type="text/plain")


def main() -> None:
    port, folder, password = sys.argv[1:]
    os.makedirs(folder + ".incoming", exist_ok=True)
    uvicorn.run(application(Engine(folder), password), host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
