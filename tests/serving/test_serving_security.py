"""Who may ask: keys, Host, Origin, and where a server may be bound."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dizuo.errors import RecipeError, ServingError
from dizuo.serving.gateway.api_errors import ApiError
from dizuo.serving.gateway.security import Gatekeeper, read_keys
from dizuo.serving.options import ServeOptions

KEY = "correct-horse-battery"


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (None, "no API key was given; send it as 'Authorization: Bearer KEY'"),
        ("", "no API key was given; send it as 'Authorization: Bearer KEY'"),
        (KEY, "no API key was given; send it as 'Authorization: Bearer KEY'"),
        (f"Basic {KEY}", "no API key was given; send it as 'Authorization: Bearer KEY'"),
        (f"Bearer {KEY}x", "the API key is not known to this server"),
        (f"Bearer {KEY[:-1]}", "the API key is not known to this server"),
        ("Bearer \xe9\xe9\xe9", "the API key is not known to this server"),
    ],
)
def test_without_the_right_key_nothing_is_answered(start: Any, header: str | None, words: str) -> None:
    server = start(keys={"ann": digest(KEY), "bob": digest("another-key-of-bob")})
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for method, path in (
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/classify"),
        ("GET", "/x"),
    ):
        answer = server.client.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"] == {
            "message": words,
            "type": "authentication_error",
            "param": None,
            "code": "invalid_api_key",
        }
    assert server.client.get("/health").status_code == 200
    assert server.client.get("/ready").status_code == 200


def test_any_of_the_keys_opens_and_then_host_and_origin_are_free(start: Any) -> None:
    server = start(keys={"ann": digest(KEY), "bob": digest("another-key-of-bob")})
    for key in (KEY, "another-key-of-bob"):
        headers = {"Authorization": f"bearer {key}", "Host": "llm.example.org", "Origin": "https://app.example.org"}
        answer = server.client.get("/v1/models", headers=headers)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8000", True),
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("[::1]:8000", True),
        ("::1", False),
        ("evil.example.org", False),
        ("evil.example.org:8000", False),
        ("localhost.evil.org", False),
        ("evil-localhost", False),
        ("evillocalhost:8000", False),
        ("evil.localhost", False),
        ("127.0.0.1.evil.org", False),
        ("evil127.0.0.1", False),
        ("192.168.1.5:8000", False),
        ("", False),
    ],
)
def test_without_keys_the_host_must_be_this_machine(host: str, fine: bool) -> None:
    gatekeeper = Gatekeeper({}, ServeOptions())
    if fine:
        assert gatekeeper.admit({"host": host}) == ""
    else:
        with pytest.raises(ApiError) as caught:
            gatekeeper.admit({"host": host})
        assert (caught.value.status, caught.value.code) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    ("origin", "fine"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.0.0.1:9000", False),
        ("http://localhost:8000", False),
        ("https://evil.example.org", False),
        ("null", False),
        ("", False),
    ],
)
def test_without_keys_a_page_of_another_site_is_refused(origin: str, fine: bool) -> None:
    gatekeeper = Gatekeeper({}, ServeOptions())
    headers = {"host": "127.0.0.1:8000", "origin": origin}
    if fine:
        gatekeeper.admit(headers)
    else:
        with pytest.raises(ApiError) as caught:
            gatekeeper.admit(headers)
        assert (caught.value.status, caught.value.code) == (403, "origin_not_allowed")


def test_over_the_wire_a_rebound_name_and_a_foreign_page_are_403(server: Any) -> None:
    answer = server.client.get("/v1/models", headers={"Host": "evil.example.org"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
    body = {"model": "news", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    answer = server.client.post("/v1/chat/completions", json=body, headers={"Origin": "https://evil.example.org"})
    assert answer.status_code == 403
    preflight = {"Origin": "https://evil.example.org", "Access-Control-Request-Method": "POST"}
    answer = server.client.options("/v1/chat/completions", headers=preflight)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "llm.example.org"])
def test_binding_beyond_loopback_without_keys_is_refused(host: str) -> None:
    with pytest.raises(ServingError) as caught:
        Gatekeeper({}, ServeOptions(host=host))
    assert str(caught.value) == (
        f"binding {host} would let everybody on the network ask, and no keys are set\n\n"
        "hint: set DIZUO_API_KEYS or keys_file, or bind 127.0.0.1"
    )
    Gatekeeper({"a": digest(KEY)}, ServeOptions(host=host))


def test_serve_refuses_it_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from dizuo.serving import serve

    monkeypatch.delenv("DIZUO_API_KEYS", raising=False)
    with pytest.raises(ServingError, match="would let everybody on the network ask"):
        serve("no-such-model", options=ServeOptions(host="0.0.0.0", port=0))


def test_keys_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# ours\nann:{KEY}  # the first\n\nno-name-but-long-enough\n")
    assert read_keys(ServeOptions(keys_file=str(file))) == {
        "ann": digest(KEY),
        "key-4": digest("no-name-but-long-enough"),
    }
    monkeypatch.setenv("DIZUO_API_KEYS", f" bob:{KEY} ,, ")
    assert read_keys(ServeOptions()) == {"bob": digest(KEY)}
    monkeypatch.delenv("DIZUO_API_KEYS")
    assert read_keys(ServeOptions()) == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ann:short", "entry 1: a key has fewer than 16 characters"),
        ("# nothing\n", "holds no key"),
        (None, "cannot be read"),
    ],
)
def test_a_keys_file_that_protects_nothing_is_refused_without_showing_a_key(
    tmp_path: Path, content: str | None, words: str
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ServingError, match=words) as caught:
        read_keys(ServeOptions(keys_file=str(file)))
    assert "short" not in str(caught.value)


def test_all_wrong_settings_are_reported_together() -> None:
    with pytest.raises(RecipeError) as caught:
        ServeOptions(port=70000, timeout=0, max_running=0)
    assert str(caught.value).splitlines() == [
        "3 serve settings are wrong",
        "  serve.port: must be in 0…65535, not 70000",
        "  serve.max_running: must be at least 1, not 0",
        "  serve.timeout: must be a positive number of seconds, not 0",
    ]
