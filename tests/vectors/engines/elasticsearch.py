"""A real Elasticsearch where one can be had, and an emulator of it, noida-db's small binary, where none can.

None of the registries that these tests use has Elasticsearch. Looked for, in this order, with Java 17 or later:

- an installation that `ELASTICSEARCH_HOME` names (empty: none is wanted, also not the next);
- `../shared/servers/elasticsearch` beside the repository, a minimal 8.19.4 with a program `start`.

A client of version 9 cannot talk to a server of version 8, so a client of the server's version comes with the server.
"""

from __future__ import annotations

import functools
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import quote

from engines.packages import EngineUnavailable, executable, wheel
from engines.server import Server

SHARED = Path(__file__).parents[4] / "shared" / "servers" / "elasticsearch"
SHARED_VERSION = "8.19.4"
ENDING = str(Path(__file__).with_name("ending.py"))
PASSWORD = "dizuo's p@ss/word"
HEAP = "512m"
CLIENTS = {
    8: (
        ("elasticsearch", "8.19.3", "fe1db2555811192e8a1be78b01234d0a49d32b185ea7eeeb6f059331dee32838"),
        ("elastic-transport", "8.19.0", "97ab35de878c7f4c7ebf8840cbc8ff1ff01d9dbc0e977e52d82715b155678b4f"),
    ),
    9: (
        ("elasticsearch", "9.5.1", "a980d8888ae70c03f0a1db6b2c5e3e39bf4e235abea737f522d2fd1d2d20bb99"),
        ("elastic-transport", "9.4.2", "33dc89bb1855faa8b98ae8b036405a39c562778dbcdbe4a00a2eaf753148556c"),
    ),
}


def installation() -> Path | None:
    """Return the folder of a real Elasticsearch that can be run here, or None."""
    named = os.environ.get("ELASTICSEARCH_HOME")
    folder = SHARED if named is None else Path(named) if named else None
    if folder is None or not folder.is_dir():
        return None
    return folder if java() >= 17 or (folder / "jdk").is_dir() else None


@functools.cache
def java() -> int:
    """Return the major version of the Java on the path, 0 where there is none."""
    if shutil.which("java") is None:
        return 0
    shown = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', shown)
    return int(found[1]) if found else 0


def elasticsearch(folder: Path) -> Elasticsearch | ElasticsearchEmulator:
    """Return a server that is not started yet: the real one where it can be had."""
    return ElasticsearchEmulator(folder) if installation() is None else Elasticsearch(folder)


def client_folders(major: int) -> list[str]:
    """Return the folders to put first on the path for a client of this version; none where it is installed.

    Raises:
        EngineUnavailable: it is not installed and cannot be fetched.
    """
    try:
        if int(version("elasticsearch").partition(".")[0]) == major:
            return []
    except PackageNotFoundError:
        pass
    return [str(wheel(*package)) for package in CLIENTS[major]]


def use_client(major: int) -> None:
    """Make this process, and those that it starts from now on, import a client of this version."""
    folders = client_folders(major)
    if not folders or sys.path[: len(folders)] == folders:
        return
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
    for name in [name for name in sys.modules if name.partition(".")[0] in ("elasticsearch", "elastic_transport")]:
        del sys.modules[name]


class Elasticsearch(Server):
    """A server of one node with a login; it refuses to run as root, and then runs as `nobody`."""

    name = "Elasticsearch"
    patience = 300.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        found = installation()
        if found is None:
            raise EngineUnavailable("no Elasticsearch with Java 17: name an installation in ELASTICSEARCH_HOME")
        self.found, self.start_program = found, found / "start"
        if self.start_program.exists():
            self.version = SHARED_VERSION
        else:
            jars = sorted((found / "lib").glob("elasticsearch-[0-9]*.jar"))
            if not jars:
                raise EngineUnavailable(f"{found} has no lib/elasticsearch-VERSION.jar: is it an Elasticsearch?")
            self.version = jars[0].stem.partition("-")[2]
        # Not below `folder`: `nobody` cannot enter the folders that pytest makes.
        self.home = Path(tempfile.mkdtemp(prefix="dizuo-elasticsearch-"))
        self.home.chmod(0o755)

    @property
    def major(self) -> int:
        """Its major version, which is that of the clients it talks to."""
        return int(self.version.partition(".")[0])

    @property
    def url(self) -> str:
        return f"elasticsearch://elastic:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}"

    @property
    def wrong_password_url(self) -> str:
        return f"elasticsearch://elastic:wrong@127.0.0.1:{self.port}"

    def prepare(self) -> None:
        if self.start_program.exists():
            return
        config = self.home / "config"
        shutil.copytree(self.found / "config", config)
        (config / "elasticsearch.keystore").unlink(missing_ok=True)
        (config / "elasticsearch.yml").write_text(
            f"discovery.type: single-node\nhttp.host: 127.0.0.1\nhttp.port: {self.port}\ntransport.host: 127.0.0.1\n"
            f"transport.port: 0\npath.data: {self.home}/data\npath.logs: {self.home}/logs\n"
            "xpack.security.enabled: true\nxpack.security.http.ssl.enabled: false\n"
            "xpack.security.transport.ssl.enabled: false\n"
        )
        if os.geteuid() == 0:
            shutil.chown(self.home, "nobody")
            for path in self.home.rglob("*"):
                shutil.chown(path, "nobody")
        for words, given in ((["create"], ""), (["add", "-x", "bootstrap.password"], PASSWORD)):
            command = [*self._as_other_user(), str(self.found / "bin" / "elasticsearch-keystore"), *words]
            environment = {**os.environ, **self.environment()}
            ran = subprocess.run(command, input=given, capture_output=True, text=True, env=environment, cwd=self.home)
            if ran.returncode != 0:
                raise EngineUnavailable(f"elasticsearch-keystore failed: {ran.stdout[-500:]} {ran.stderr[-1000:]}")

    def command(self) -> Sequence[str]:
        if self.start_program.exists():
            words = [str(self.start_program), str(self.home), str(self.port)]
        else:
            words = [*self._as_other_user(), str(self.found / "bin" / "elasticsearch")]
        return [sys.executable, ENDING, *words]

    def _as_other_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return ["setpriv", f"--reuid={pwd.getpwnam('nobody').pw_uid}", "--clear-groups", "env", f"HOME={self.home}"]

    def environment(self) -> Mapping[str, str]:
        if self.start_program.exists():
            return {"HEAP": HEAP, "SECURITY": "true", "PASSWORD": PASSWORD}
        settings = {"ES_PATH_CONF": f"{self.home}/config", "ES_JAVA_OPTS": f"-Xms{HEAP} -Xmx{HEAP}"}
        if not (self.found / "jdk").is_dir():
            settings["ES_JAVA_HOME"] = str(Path(shutil.which("java") or "java").resolve().parents[1])
        return settings

    def start(self) -> None:
        use_client(self.major)
        super().start()

    def ready(self) -> None:
        import httpx

        httpx.get(
            f"http://127.0.0.1:{self.port}/_cluster/health?wait_for_status=yellow&timeout=1s",
            auth=("elastic", PASSWORD), timeout=5, trust_env=False,
        ).raise_for_status()  # fmt: skip

    def clean(self) -> None:
        super().clean()
        shutil.rmtree(self.home, ignore_errors=True)


class ElasticsearchEmulator(Server):
    """noida-db with its Elasticsearch service alone; it knows no passwords."""

    name = "Elasticsearch"
    kind = "emulator"
    version = "noida-db 0.2.3"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        root = wheel("noida-db", "0.2.3", "40a2fb15567e3d344e7483df62bb439e7d64ac6fb232f4f223554aed58204f82")
        self.binary = root / "noida_db" / "noida-db"
        executable([self.binary])

    @property
    def url(self) -> str:
        return f"elasticsearch://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        words = ["--data-dir", str(self.folder / "data"), "--host", "127.0.0.1", "--only", "elasticsearch"]
        return [str(self.binary), "start", *words, "--elasticsearch-port", str(self.port)]

    def ready(self) -> None:
        import httpx

        httpx.get(f"http://127.0.0.1:{self.port}/", timeout=2, trust_env=False).raise_for_status()
