"""Whether a server can be reached is known in seconds, and said in one sentence with what to do.

The clients of hubs wait and retry for half a minute and more before they give up, each with errors of its own. So a hub
is asked once, within `patience()` seconds, before its client is let loose; what came of it is told in the same words
whichever client, proxy or network it came from.

    within(seconds, call)       what a call returns, or `TimeoutError`, also where it hangs in the name service
    attempt(url, call, …)       the same; whatever goes wrong is an `Unanswered` with its `Trouble`
    diagnose(error)             Trouble: what is wrong, and what to do about it; `diagnose_text` of a log
    proxy_for(url)              the proxy that a request goes through, without its login
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from dizuo.errors import ArtifactError
from dizuo.redaction import hide_login, hide_logins, redact

__all__ = [
    "Trouble",
    "Unanswered",
    "attempt",
    "describe_status",
    "diagnose",
    "diagnose_text",
    "no_facts",
    "patience",
    "proxy_for",
    "silence",
    "unreachable",
    "within",
]

T = TypeVar("T")
PATIENCE = 3.5
"""Seconds; with the start of the program an answer is there in five."""
Kind = Literal["name", "refused", "silent", "certificate", "proxy", "status", "offline", "other"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a server did not answer as it should."""

    kind: Kind
    what: str
    """One line, as in `no answer within 3.5 s`."""
    advice: str = ""
    """What to do about this kind of trouble; empty where another address is all that helps."""


class Unanswered(Exception):
    """A request came to nothing; its trouble says why."""

    def __init__(self, url: str, trouble: Trouble) -> None:
        super().__init__(f"{url}: {trouble.what}")
        self.url = url.partition("?")[0]  # what follows is a signature of a thousand letters
        self.trouble = trouble


def patience() -> float:
    """Return how many seconds a server may take to say anything: 3.5, or what `DIZUO_PATIENCE` says.

    Raises:
        ArtifactError: it is no number of seconds.
    """
    text = os.environ.get("DIZUO_PATIENCE", "").strip()
    if not text:
        return PATIENCE
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise ArtifactError(f"DIZUO_PATIENCE is {text!r}, no number of seconds", hint="set it to one, such as 30")
    return seconds


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns.

    Raises:
        TimeoutError: it took longer. It is left to itself in a thread that does not keep the process from ending:
            nothing ends a look-up of a name that hangs.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised again by who waits
            errors.append(error)

    thread = threading.Thread(target=work, name="dizuo-reaching", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:.2g} s")
    return results[0]


def attempt(url: str, call: Callable[[], T], *, seconds: float, keep: tuple[type[Exception], ...] = ()) -> T:
    """Return what a request returns.

    Args:
        url: what is asked; a redirect may lead elsewhere, and then the error names that.
        call: makes the request.
        seconds: until it must have answered.
        keep: errors of the client that are an answer.

    Raises:
        Unanswered: there was no answer.
    """
    try:
        return within(seconds, call)
    except keep:
        raise
    except Unanswered:
        raise
    except Exception as error:
        # httpx raises where there is no request, and so it is looked for where that keeps it.
        request = error.__dict__.get("_request") or error.__dict__.get("request")
        trouble = silence(seconds) if type(error) is TimeoutError else diagnose(error)
        raise Unanswered(str(getattr(request, "url", None) or url), trouble) from error


def diagnose(error: BaseException) -> Trouble:
    """Return what an error of a client means: of requests, urllib3, httpx, pip or the standard library."""
    chain = list(_causes(error))
    text = " ".join(f"{type(link).__name__}: {link}" for link in chain)
    for link in chain:
        status = getattr(getattr(link, "response", None), "status_code", None) or getattr(link, "status_code", None)
        if isinstance(status, int) and status >= 400:
            return describe_status(status)
    if any(type(link).__name__ == "OfflineModeIsEnabled" for link in chain):
        return Trouble("offline", "HF_HUB_OFFLINE is set, and so nothing is asked", "unset HF_HUB_OFFLINE")
    if any(type(link).__name__ == "JSONDecodeError" for link in chain):
        return no_facts()
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in chain):
        return Trouble("certificate", _SAYS[0][2], CERTIFICATE_ADVICE)
    if any(isinstance(link, socket.gaierror) for link in chain):
        return Trouble("name", _SAYS[3][2])
    if known := diagnose_text(text):
        return known
    if any(isinstance(link, TimeoutError) for link in chain) or "Timeout" in text:
        return silence(patience())
    first = (str(error).strip().splitlines() or [""])[0][:160]
    return Trouble("other", f"{type(error).__name__}: {first}" if first else type(error).__name__)


def describe_status(status: int) -> Trouble:
    """Return what a status of HTTP from 400 on means for somebody who wanted to read."""
    if status == 407:
        return Trouble("proxy", "the proxy wants a user and a password (HTTP 407)", PROXY_ADVICE)
    if status in (401, 403):
        return Trouble(
            "status",
            f"the answer was HTTP {status}: the server, or a proxy before it, refused us",
            "check the login or token, and whether your network's proxy lets this address through",
        )
    if status == 429:
        return Trouble("status", "the answer was HTTP 429: too many requests", "wait a minute, or log in")
    if status >= 500:
        return Trouble("status", f"the answer was HTTP {status}: the server, or what is behind it, is down")
    return Trouble("status", f"the answer was HTTP {status}")


def no_facts() -> Trouble:
    """Return the trouble of an answer that is a page for people, as networks give that block an address."""
    return Trouble("other", "the answer is no JSON: a proxy's page or a login page stands in the way", PROXY_ADVICE)


def silence(seconds: float) -> Trouble:
    """Return the trouble of a server that says nothing."""
    return Trouble("silent", f"no answer within {seconds:.2g} s", SLOW_ADVICE)


SLOW_ADVICE = "set DIZUO_PATIENCE=60 where it is only slow"
PROXY_ADVICE = "check HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY"
CERTIFICATE_ADVICE = (
    "set SSL_CERT_FILE (and for modelscope: REQUESTS_CA_BUNDLE, for pip PIP_CERT) to your network's certificates"
)
_SAYS: tuple[tuple[Kind, str, str, str], ...] = (
    ("certificate", r"CERTIFICATE_VERIFY_FAILED|CertificateVerif|certificate verify failed",
     "the certificate is signed by nobody that this machine trusts", CERTIFICATE_ADVICE),
    ("certificate", r"SSLError|\[SSL|SSL:|TLS", "no secure connection can be made", CERTIFICATE_ADVICE),
    ("proxy", r"ProxyError|[Tt]unnel|[Pp]roxy", "the proxy does not let us through", PROXY_ADVICE),
    ("name", r"gaierror|[Nn]ame or service not known|[Nn]ame resolution|getaddrinfo|nodename nor servname|No address "
             r"associated|NameResolutionError", "the name service does not know the host", ""),
    ("refused", r"[Cc]onnection refused|ConnectionRefused", "the connection is refused: nothing listens there", ""),
    ("refused", r"unreachable|No route to host", "the network has no way there", ""),
    ("refused", r"[Rr]eset by peer|ConnectionReset|RemoteDisconnected|disconnected without|IncompleteRead|closed "
                r"connection|RemoteProtocolError", "the connection is cut off", ""),
    ("silent", r"[Tt]imed out|ConnectTimeout|ReadTimeout", "no answer in time", SLOW_ADVICE),
)  # fmt: skip


def diagnose_text(text: str) -> Trouble | None:
    """Return what the words of a client mean, such as those of pip's log, or None where they say nothing known."""
    if re.search(r"\b407\b", text):
        return describe_status(407)
    if proxied := re.search(r"[Tt]unnel\D*\b([45]\d\d)\b|ProxyError: ([45]\d\d)\b", text):
        return Trouble("proxy", f"the proxy refuses to connect us (HTTP {proxied[1] or proxied[2]})", PROXY_ADVICE)
    if status := re.search(
        r"\b([45]\d\d) (?:Client|Server) Error|\berror (?:code )?([45]\d\d)\b|too many (5\d\d)", text
    ):
        return describe_status(int(status[1] or status[2] or status[3]))
    for kind, pattern, what, advice in _SAYS:
        if re.search(pattern, text):
            return Trouble(kind, what, advice)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came of, each once."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment gives for an address, without its login, or None."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    hide_logins(proxy)
    login, at, place = proxy.rpartition("@")
    if at:
        hide_login(login.partition("://")[2] or login)
        scheme = proxy.partition("://")[0] + "://" if "://" in proxy else ""
        return redact(f"{scheme}{place}")
    return redact(proxy)


def unreachable(
    wanted: str, *, server: str, asked: str, variable: str, trouble: Trouble, instead: str
) -> ArtifactError:
    """Return the error that a server cannot be reached.

    Args:
        wanted: the address that was to be fetched.
        server: what it was to be fetched from, as in `the Hugging Face hub`.
        asked: the URL that did not answer.
        variable: the variable of the environment that says where the server is.
        trouble: why.
        instead: what to do where nothing can be done about it.
    """
    set_by = f", as {variable} says" if os.environ.get(variable) else ""
    details = [f"asked {asked}{set_by}"] if asked else []
    if asked and (proxy := proxy_for(asked)):
        details.append(f"through the proxy {proxy}")
    details.append(trouble.what)
    advice = f"{trouble.advice}, or {instead}" if trouble.advice else instead
    return ArtifactError(
        f"{wanted} is not in the cache, and {server} cannot be reached",
        details=details,
        hint=f"{advice}; dizuo doctor --machine tests them all",
    )
