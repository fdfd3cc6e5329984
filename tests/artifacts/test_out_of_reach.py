"""A hub or an index out of reach is one error within five seconds, whichever way it is and whoever asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from unreachable_servers import closed, hub, listen, make_certificate, send, serve, status

from dizuo.artifacts import resolve
from dizuo.errors import ArtifactError

SOURCES = {"hf": "hf:org/name", "modelscope": "modelscope:org/name", "pypi": "pypi:some-model"}
VARIABLES = {"hf": "HF_ENDPOINT", "modelscope": "MODELSCOPE_ENDPOINT", "pypi": "PIP_INDEX_URL"}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
Place = Callable[[ExitStack, Path, pytest.MonkeyPatch], str]


def named_nowhere(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return "http://hub.invalid"


def nobody_listens(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return closed()


def never_answers(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return stack.enter_context(listen())


def own_certificate(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return stack.enter_context(serve(hub(), certificate=make_certificate(folder)))


def proxy_says(code: int, scheme: str) -> Place:
    def place(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        proxy = stack.enter_context(serve(status(code)))
        for name in PROXIES[:3]:
            monkeypatch.setenv(name, proxy.replace("//", "//me:s3cretword@"))
        return f"{scheme}://hub.example"

    return place


def proxy_is_gone(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in PROXIES[:3]:
        monkeypatch.setenv(name, closed().replace("//", "//me:s3cretword@"))
    return "https://hub.example"


def answers(code: int) -> Place:
    return lambda stack, folder, monkeypatch: stack.enter_context(serve(status(code)))


def data_is_closed(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return stack.enter_context(serve(hub(closed())))


def data_never_answers(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return stack.enter_context(serve(hub(stack.enter_context(listen()))))


def data_is_refused(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return stack.enter_context(serve(hub(stack.enter_context(serve(status(403))))))


def page_instead(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return stack.enter_context(serve(lambda request: send(request, b"<html>blocked</html>", Content_Type="text/html")))


WAYS: dict[str, tuple[Place, str]] = {
    "name": (named_nowhere, "the name service does not know the host"),
    "refused": (nobody_listens, "the connection is refused"),
    "silent": (never_answers, "no answer within "),
    "certificate": (own_certificate, "the certificate is"),
    "proxy-403": (proxy_says(403, "https"), "HTTP 403"),
    "proxy-407": (proxy_says(407, "https"), "HTTP 407"),
    "plain-proxy-407": (proxy_says(407, "http"), "HTTP 407"),
    "proxy-gone": (proxy_is_gone, "the proxy"),
    "500": (answers(500), "HTTP 500"),
    "503": (answers(503), "HTTP 503"),
    "403": (answers(403), "HTTP 403"),
    "page": (page_instead, "the answer is no JSON"),
    "data-closed": (data_is_closed, "the connection is refused"),
    "data-silent": (data_never_answers, "no answer within "),
    "data-403": (data_is_refused, "HTTP 403"),
}


def point_at(source: str, url: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Set what a user sets, and what the clients have read of it when they were imported."""
    place = f"{url}/simple" if source == "pypi" else url
    monkeypatch.setenv(VARIABLES[source], place)
    monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1 hub.invalid hub.example" if url.startswith("http:") else "")
    if source == "modelscope":
        pytest.importorskip("modelscope_hub.config").set_default_config(None)
    if source == "hf":
        from huggingface_hub import close_session, constants

        close_session()  # it keeps proxies and certificates
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A source, with an empty home and none of this machine's own settings."""
    if request.param == "modelscope":
        pytest.importorskip("modelscope", reason="its client is not installed")
    for name in (*PROXIES, *(name.lower() for name in PROXIES), "PIP_FIND_LINKS", "PIP_DEFAULT_TIMEOUT", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    yield request.param
    if request.param == "hf":
        from huggingface_hub import close_session

        close_session()


@pytest.mark.parametrize("way", WAYS)
def test_it_is_one_error_that_names_the_address_and_what_to_do(
    way: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if (way, source) == ("page", "pypi"):
        pytest.skip("an index is a page; one without the package lacks it")
    place, says = WAYS[way]
    with ExitStack() as stack:
        url = place(stack, tmp_path, monkeypatch)
        point_at(source, url, monkeypatch, tmp_path)
        began = time.monotonic()
        with pytest.raises(ArtifactError) as raised:
            resolve(SOURCES[source])
        seconds = time.monotonic() - began
    text = str(raised.value)
    assert SOURCES[source].removeprefix("pypi:") in raised.value.message
    assert says in text
    host = url.partition("//")[2] if not way.startswith("data") else "127.0.0.1"
    assert any(line.startswith("asked http") and host in line for line in raised.value.details), text
    assert VARIABLES[source] in text
    assert raised.value.hint
    assert "s3cretword" not in text
    assert "Traceback" not in text
    assert capfd.readouterr() == ("", "")
    assert seconds < 15, "the total is bounded; how fast it is on a quiet machine is said in the guide"


def test_a_mirror_that_lacks_the_repository_says_so(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(status(404)) as url:
        point_at(source, url, monkeypatch, tmp_path)
        with pytest.raises(ArtifactError) as raised:
            resolve(SOURCES[source])
    assert SOURCES[source].partition(":")[2] in raised.value.message
    assert " has " in raised.value.message
    assert "spelling" in str(raised.value.hint)


def test_what_is_in_the_cache_needs_no_hub(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if source == "pypi":
        pytest.skip("test_fetching.py has it")
    with serve(hub()) as url:
        point_at(source, url, monkeypatch, tmp_path)
        first = resolve(SOURCES[source])
        assert resolve(SOURCES[source]).digest == first.digest
    point_at(source, closed(), monkeypatch, tmp_path)
    again = resolve(SOURCES[source])
    assert (again.path, again.digest) == (first.path, first.digest)


def test_patience_is_a_setting_and_a_wrong_one_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with listen() as url:
        point_at("hf", url, monkeypatch, tmp_path)
        monkeypatch.setenv("DIZUO_PATIENCE", "0.2")
        with pytest.raises(ArtifactError, match=r"no answer within 0\.2 s"):
            resolve("hf:org/name")
        monkeypatch.setenv("DIZUO_PATIENCE", "soon")
        with pytest.raises(ArtifactError, match="DIZUO_PATIENCE is 'soon'"):
            resolve("hf:org/name")


def test_a_hub_that_is_switched_off_says_by_which_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    point_at("hf", closed(), monkeypatch, tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ArtifactError) as raised:
        resolve("hf:org/name")
    assert "HF_HUB_OFFLINE is set" in str(raised.value)
    assert str(raised.value.hint).startswith("unset HF_HUB_OFFLINE")
