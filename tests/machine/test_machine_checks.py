"""What companies break, broken for real on 127.0.0.1: each is one line and one thing to do."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from test_out_of_reach import PROXIES, point_at
from unreachable_servers import closed, hub, serve, status

from dizuo.artifacts.reaching import PATIENCE
from dizuo.cli import dizuo
from dizuo.machine import Finding, examine
from dizuo.machine.checks import CHECKS, Check
from dizuo.machine.checks.certificates import FILES
from dizuo.machine.checks.torch_and_driver import judge
from dizuo.machine.examining import _find
from dizuo.machine.surroundings import Surroundings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of this machine's own settings."""
    for name in (*PROXIES, *(name.lower() for name in PROXIES), *FILES, "PIP_FIND_LINKS", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))


def test_every_check_says_what_it_looks_at_and_none_is_given_no_time() -> None:
    checks = CHECKS.all().values()
    assert len({check.order for check in checks}) == len(checks) >= 9
    assert all(check.title and check.seconds > PATIENCE for check in checks)


def test_this_machine_has_a_processor_memory_and_a_disk() -> None:
    found = examine(only=("processor", "memory", "disk", "certificates", "proxies"))
    assert found.healthy
    assert {found[name].state for name in ("certificates", "proxies")} == {"well"}


def cases(folder: Path) -> dict[str, tuple[dict[str, str], str, str, str]]:
    """Settings of the environment; the check; its state; a part of what it says."""
    (folder / "text.pem").write_text("no certificate")
    there = "/etc/ssl/certs/ca-certificates.crt"
    login = closed().replace("//", "//me:s3cretword@")
    return {
        "no file": ({"SSL_CERT_FILE": "/none.pem"}, "certificates", "broken", "/none.pem, which does not exist"),
        "no certificate": ({"PIP_CERT": str(folder / "text.pem")}, "certificates", "broken", "holds no certificates"),
        "one of several": (
            {"CURL_CA_BUNDLE": "/none.pem", "PIP_CERT": there},
            "certificates",
            "broken",
            "CURL_CA_BUND",
        ),
        "no proxy there": ({"HTTPS_PROXY": login}, "proxies", "broken", "the connection is refused"),
        "no port": ({"HTTPS_PROXY": "http://me:s3cretword@host:port"}, "proxies", "broken", "no port"),
        "two spellings": ({"http_proxy": "http://a", "HTTP_PROXY": "http://b"}, "proxies", "look", "different things"),
        "no way out": ({"PIP_INDEX_URL": f"{closed()}/simple"}, "package_index", "broken", "refused"),
        "too many threads": ({"OMP_NUM_THREADS": "4096"}, "processor", "look", "OMP_NUM_THREADS=4096"),
        "no disk": ({"DIZUO_HOME": "/proc/dizuo"}, "disk", "broken", "nothing can be written to /proc"),
    }


@pytest.mark.parametrize("case", cases(Path("/tmp")))
def test_what_is_broken_is_said_with_what_to_do(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, check, state, says = cases(tmp_path)[case]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    found = examine(only=(check,))
    finding = found[check]
    assert (finding.state, says in finding.measured) == (state, True), finding
    assert finding.hint
    assert found.healthy is (state != "broken")
    assert "s3cretword" not in f"{finding}"


@pytest.mark.parametrize("named", [True, False], ids=["named by the recipe", "named by nobody"])
@pytest.mark.parametrize("way", ["metadata", "data", "data refused"])
def test_a_hub_is_asked_for_facts_and_for_data(
    way: str, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        far = closed() if way != "data refused" else stack.enter_context(serve(status(403)))
        url = far if way == "metadata" else stack.enter_context(serve(hub(far)))
        point_at("hf", url, monkeypatch, tmp_path)
        monkeypatch.setattr("dizuo.machine.checks.hugging_face.KNOWN", "hf:org/name")
        monkeypatch.delenv("HF_ENDPOINT", raising=False)
        finding = examine(["hf:org/name"] if named else [], only=("hugging_face",))["hugging_face"]
    assert finding.state == ("broken" if named else "look")
    assert far in finding.measured
    assert "HF_ENDPOINT" in finding.hint


def test_a_hub_that_answers_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(hub()) as url:
        point_at("hf", url, monkeypatch, tmp_path)
        finding = examine(["hf:org/name"], only=("hugging_face",))["hugging_face"]
        lacking = examine(["hf:org/other"], only=("hugging_face",))["hugging_face"]
    assert finding.state == "well"
    assert (lacking.state, "does not give org/other" in lacking.measured) == ("broken", True)


def test_a_check_that_hangs_or_fails_holds_nothing_up() -> None:
    def hang(surroundings: Surroundings) -> Finding:
        time.sleep(30)
        raise AssertionError

    def fail(surroundings: Surroundings) -> Finding:
        raise ZeroDivisionError("oh")

    here = Surroundings((), 0.05)
    assert _find(Check(title="x", order=1, check=hang, seconds=0.1), here).measured == "not done after 0.1 s"
    assert _find(Check(title="x", order=1, check=fail), here).measured == "the check failed: ZeroDivisionError: oh"


def a_fake_torch(*, cuda: str | None, works: bool) -> Any:
    def ones(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    gpu = SimpleNamespace(is_available=lambda: works, device_count=lambda: 1, get_device_name=lambda index: "H200")
    return SimpleNamespace(__version__="9.9", version=SimpleNamespace(cuda=cuda), cuda=gpu, ones=ones)


@pytest.mark.parametrize(
    ("cuda", "works", "driver", "state"),
    [
        (None, False, None, "well"),
        ("13.0", False, None, "well"),
        (None, False, "NVRM version: NVIDIA UNIX 470.82.01", "look"),
        ("13.0", False, "NVRM version: NVIDIA UNIX 470.82.01", "broken"),
        ("13.0", True, "NVRM version: NVIDIA UNIX 580.82.01", "broken"),
    ],
)
def test_a_fake_torch_is_judged_beside_a_driver(cuda: str | None, works: bool, driver: str | None, state: str) -> None:
    finding = judge(a_fake_torch(cuda=cuda, works=works), driver)
    assert finding.state == state
    assert driver is None or works or driver.split()[-1] in finding.measured


def test_the_verb_shows_a_table_and_fails_where_something_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CHECKS.__class__, "names", lambda self: ("certificates", "proxies"))
    result = CliRunner().invoke(dizuo, ["doctor", "--machine"])
    assert (result.exit_code, "nothing is broken" in result.output) == (0, True)
    monkeypatch.setenv("SSL_CERT_FILE", "/none.pem")
    result = CliRunner().invoke(dizuo, ["doctor", "--machine", "--json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["healthy"]) == (1, False)
    assert told["checks"][0]["finding"]["state"] == "broken"
    shown = CliRunner().invoke(dizuo, ["doctor", "--machine"]).output
    assert "1 of 2 are broken" in shown
    assert "point SSL_CERT_FILE at" in " ".join(shown.split())


def test_without_a_recipe_the_other_doctor_asks_for_one() -> None:
    result = CliRunner().invoke(dizuo, ["doctor"])
    assert (result.exit_code, "Missing argument 'RECIPE'" in result.output) == (2, True)
