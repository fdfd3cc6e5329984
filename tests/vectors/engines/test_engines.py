"""Each engine starts, survives kill -9 with its data, restarts on its port, and ends with the tests."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from engines.packages import EngineUnavailable
from engines.server import Server, free_port

SERVERS = ["postgresql", "redis", "chroma", "milvus", "clickhouse", "elasticsearch", "pinecone", "marqo"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_engine_refuses_connections_and_comes_back_on_its_port(
    name: str, request: pytest.FixtureRequest
) -> None:
    engine = request.getfixturevalue(f"engine_{name}")
    if not isinstance(engine, Server):
        pytest.skip("a service named by the environment is not ours to kill")
    url = engine.url
    family = [engine.process.pid, *(child.pid for child in psutil.Process(engine.process.pid).children(recursive=True))]
    engine.kill()
    assert not any(psutil.pid_exists(pid) for pid in family)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", engine.port), 2)
    engine.restart()
    assert engine.url == url
    engine.ready()


@pytest.mark.slow
def test_an_engine_that_a_test_killed_runs_again_in_the_next(engine_redis: Any, request: pytest.FixtureRequest) -> None:
    engine_redis.kill()
    from engines import fixtures

    fixtures.had(lambda: engine_redis.start())
    engine_redis.ready()


@pytest.mark.slow
def test_redis_keeps_every_answered_write_through_kill_9(engine_redis: Any) -> None:
    import redis

    with redis.Redis.from_url(engine_redis.url) as client:
        for number in range(200):
            client.set(f"engines:{number}", number)
    engine_redis.kill()
    engine_redis.restart()
    with redis.Redis.from_url(engine_redis.url) as client:
        assert [client.get(f"engines:{number}") for number in range(200)] == [b"%d" % number for number in range(200)]
        client.delete(*(f"engines:{number}" for number in range(200)))


@pytest.mark.slow
def test_postgresql_keeps_committed_rows_through_kill_9_and_has_pgvector(engine_postgresql: Any) -> None:
    import psycopg

    with psycopg.connect(engine_postgresql.url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(
            "CREATE TABLE engines_kept AS SELECT n, '[1,2,3]'::vector AS v FROM generate_series(1, 500) n"
        )
    open_connection = psycopg.connect(engine_postgresql.url)
    open_connection.execute("INSERT INTO engines_kept VALUES (501, '[1,2,3]')")
    engine_postgresql.kill()
    open_connection.close()
    engine_postgresql.restart()
    with psycopg.connect(engine_postgresql.url) as connection:
        assert connection.execute("SELECT count(*), sum(v <-> '[1,2,5]') FROM engines_kept").fetchone() == (500, 1000.0)
        connection.execute("DROP TABLE engines_kept")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["postgresql", "redis"])
def test_a_wrong_password_is_refused_by_the_engine(name: str, request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue(f"engine_{name}")
    if name == "postgresql":
        import psycopg

        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(engine.wrong_password_url)
    else:
        import redis

        with redis.Redis.from_url(engine.wrong_password_url) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


@pytest.mark.slow
def test_engines_end_with_the_tests_even_when_those_are_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from engines.redis import Redis\n"
        "engine = Redis(Path(sys.argv[1])); engine.start(); print(engine.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "redis")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
def test_milvus_listens_on_no_interface_of_this_machine_but_its_loopback(engine_milvus: Any) -> None:
    listening = {
        connection.laddr
        for process in [
            psutil.Process(engine_milvus.process.pid),
            *psutil.Process(engine_milvus.process.pid).children(),
        ]
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", engine_milvus.port)}


class Ending(Server):
    """A fake server that ends at once."""

    name, version = "Ending", "0"

    def command(self) -> list[str]:
        return [sys.executable, "-c", "print('the disk is full'); raise SystemExit(3)"]

    def ready(self) -> None:
        raise ConnectionError("nobody there")


class Silent(Ending):
    """A fake server that never answers."""

    name, patience = "Silent", 0.5

    def command(self) -> list[str]:
        return [sys.executable, "-c", "import time; print('hm', flush=True); time.sleep(60)"]


def test_a_fake_server_that_ends_is_unavailable_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"ended with status 3.*\n.*the disk is full"):
        Ending(tmp_path).start()


def test_a_fake_server_that_never_answers_is_unavailable_and_does_not_stay(tmp_path: Path) -> None:
    server, before = Silent(tmp_path), psutil.Process().children()
    with pytest.raises(EngineUnavailable, match="did not answer within"):
        server.start()
    assert not server.alive
    assert psutil.Process().children() == before


def test_an_engine_that_cannot_be_had_is_a_skip_unless_engines_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    from engines import fixtures

    def start() -> None:
        raise EngineUnavailable("no such engine")

    monkeypatch.delenv("DIZUO_REQUIRE_ENGINES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such engine"):
        fixtures.had(start)
    monkeypatch.setenv("DIZUO_REQUIRE_ENGINES", "1")
    with pytest.raises(pytest.fail.Exception, match="no such engine"):
        fixtures.had(start)


def test_a_service_named_in_the_environment_is_used_instead(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    from engines import fixtures

    monkeypatch.setenv("DIZUO_TEST_MARQO_URL", "marqo://elsewhere:8882")
    assert fixtures.named_service("marqo").url == "marqo://elsewhere:8882"
    assert fixtures.named_service("redis") is None


def test_free_ports_lie_below_those_that_connections_take() -> None:
    assert all(20_000 <= free_port() < 32_000 for _ in range(20))
