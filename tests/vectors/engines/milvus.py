"""Milvus standalone 2.3.5, the real server with its own etcd and message queue in one process, from the wheel milvus.

It listens on every interface and on fixed ports, so it runs in a network namespace of its own (alone.py). Milvus
Lite, which pymilvus starts by itself, is another implementation and needs only a path: `milvus://PATH.db`.
"""

from __future__ import annotations

import logging
import lzma
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from engines.packages import unpacked, wheel
from engines.server import Server

PASSWORD = "Milvus"
"""The password that a fresh Milvus gives its user root."""


class Milvus(Server):
    """A standalone server that asks for the password of `root`."""

    name = "Milvus"
    version = "2.3.5 standalone"
    patience = 180.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        sha256 = "69515a0630ce29fd10e101fa442afea8ca1387b93a456cd9bd41fdf3deb93d04"
        self.data = wheel("milvus", "2.3.5", sha256) / "milvus" / "data"
        self.bin = unpacked(f"milvus-2.3.5-{sha256[:12]}-bin", self._unpack)

    @property
    def url(self) -> str:
        return f"milvus://root:{PASSWORD}@127.0.0.1:{self.port}"

    @property
    def wrong_password_url(self) -> str:
        return f"milvus://root:wrong@127.0.0.1:{self.port}"

    def prepare(self) -> None:
        configs, storage = self.folder / "configs", self.folder / "data"
        for path in (configs, storage, self.folder / "logs"):
            path.mkdir()
        values = {
            "etcd_log_path": str(self.folder / "logs" / "etcd.log"),
            "etcd_data_dir": str(storage / "etcd.data"),
            "local_storage_dir": str(storage),
            "rocksmq_data_dir": str(storage / "rocksmq"),
            "system_log_path": str(self.folder / "logs"),
            "authorization_enabled": "true",
        }

        def fill(match: re.Match[str]) -> str:
            key, _, default = match[1].partition(":")
            return values.get(key.split("(")[0].strip(), default.strip())

        template = (self.data / "config.yaml.template").read_text("utf-8")
        (configs / "milvus.yaml").write_text(re.sub(r"\{\{(.*?)\}\}", fill, template), "utf-8")
        (configs / "glog.conf").write_bytes((self.data / "glog.conf").read_bytes())

    def command(self) -> Sequence[str]:
        alone = [sys.executable, str(Path(__file__).with_name("alone.py")), str(self.port), "19530"]
        return [*alone, str(self.bin / "milvus"), "run", "standalone"]

    def environment(self) -> Mapping[str, str]:
        return {
            "DEPLOY_MODE": "STANDALONE",
            "LD_LIBRARY_PATH": str(self.bin),
            "MILVUS_RUN_DIR": str(self.folder / "run"),
            "MILVUSCONF": str(self.folder / "configs"),
        }

    def ready(self) -> None:
        import grpc
        from pymilvus import MilvusClient

        # alone.py listens before Milvus does, and pymilvus logs every failed try with a traceback.
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=1)
        logger = logging.getLogger("pymilvus")
        before = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        try:
            client = MilvusClient(uri=f"http://127.0.0.1:{self.port}", token=f"root:{PASSWORD}", timeout=10)
            try:
                client.list_collections(timeout=10)
            finally:
                client.close()
        finally:
            logger.setLevel(before)

    def _unpack(self, folder: Path) -> None:
        for packed in sorted((self.data / "bin").glob("*.lzma")):
            path = folder / packed.name.removesuffix(".lzma")
            with lzma.open(packed) as source, path.open("wb") as target:
                while block := source.read(1 << 20):
                    target.write(block)
            path.chmod(0o755)
