"""What stands around the program: dashboard, alert rules, unit, image. Each is checked by what would read it, where that
can be had, and in any case against the program itself: what they name is there."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import pytest_asyncio
import yaml

from opsmantik import settings
from opsmantik.cli import COMMANDS
from tests.web import audits
from tests.web.browsing import Running, running

ROOT: Final = Path(__file__).parent.parent.parent
MONITORING: Final = ROOT / "integrations" / "monitoring"
UNIT: Final = ROOT / "integrations" / "systemd" / "opsmantik.service"
DASHBOARD: Final = json.loads((MONITORING / "grafana.json").read_text())
RULES: Final = yaml.safe_load((MONITORING / "alerts.yml").read_text())
COMPOSE: Final = yaml.safe_load((ROOT / "compose.yaml").read_text())
NAME: Final = re.compile(r"\b((?:opsmantik|process)_[a-z0-9_]+)")
# Prometheus makes it by itself.
OWN: Final = {"up"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(database: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(database.app, tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(web: Running, owner: Any) -> dict[str, set[str]]:
    """Every metric that /metrics can tell, with its labels as far as there are samples."""
    await audits.keep_runs(owner, uuid4(), uuid4())
    await web.browser().get("/healthz")
    text = (await web.browser().get("/metrics")).text
    found: dict[str, set[str]] = {}
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        names = [name] if kind != "histogram" else [f"{name}_{end}" for end in ("bucket", "sum", "count")]
        found |= {each: set() for each in names}
    for name, labels in re.findall(r"^([a-z0-9_]+)\{(.*)\} \S+$", text, re.MULTILINE):
        found[name] |= set(re.findall(r'(\w+)="', labels))
    return found


def alerts() -> Iterator[dict[str, Any]]:
    for group in RULES["groups"]:
        yield from group["rules"]


def panels() -> Iterator[dict[str, Any]]:
    for panel in DASHBOARD["panels"]:
        if panel["type"] != "row":
            yield panel


def expressions() -> Iterator[tuple[str, str]]:
    for alert in alerts():
        yield alert["alert"], alert["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
async def test_every_metric_that_is_named_is_told(
    place: str, expression: str, told: dict[str, set[str]]
) -> None:
    bare = re.sub(r'"[^"]*"', "", expression)
    named = set(NAME.findall(bare))
    assert named | (OWN & set(re.findall(r"\w+", bare))), f"{place} asks for nothing of ours"
    assert named <= told.keys()
    for name, labels in re.findall(r"\b(opsmantik_\w+)\{([^}]*)\}", expression):
        known = told[name] | {"instance", "job", "outcome", "le"}
        assert set(re.findall(r"(\w+)\s*(?:=~|=|!=)", labels)) <= known, f"{place}: {name} has {known}"


async def test_every_gauge_and_counter_of_ours_is_looked_at_somewhere(told: dict[str, set[str]]) -> None:
    """What nobody looks at costs, and tells nobody."""
    looked_at = {name for _, expression in expressions() for name in NAME.findall(expression)}
    unread = {name for name in told if name.startswith("opsmantik_") and name not in looked_at and not name.endswith(("_bucket", "_sum", "_count"))}  # fmt: skip # noqa: E501
    assert unread <= {
        "opsmantik_build_info", "opsmantik_unready_reason", "opsmantik_streams_listening", "opsmantik_job_failed",
        "opsmantik_webhook_deliveries_oldest_seconds", "opsmantik_webhooks_failing", "opsmantik_webhooks_switched_off",
        "opsmantik_counter_journal_rows",
    }  # fmt: skip


def test_every_alert_says_what_it_is_how_bad_and_what_to_do() -> None:
    names = [alert["alert"] for alert in alerts()]
    assert len(names) == len(set(names)) >= 15
    for alert in alerts():
        assert alert["labels"]["severity"] in ("critical", "warning"), alert["alert"]
        assert alert["annotations"]["summary"] and alert["annotations"]["do"], alert["alert"]
        for command in re.findall(r"opsmantik ([a-z]+)", alert["annotations"]["do"]):
            assert command in COMMANDS, command
        for job in re.findall(r"upkeep run (\w+)", alert["annotations"]["do"]):
            from opsmantik.cli.jobs import JOBS

            assert job in {known.name for known in JOBS}


@pytest.mark.skipif(not shutil.which("promtool"), reason="tests/need_promtool.sh gets it")
def test_prometheus_takes_the_rules_and_the_configuration(tmp_path: Path) -> None:
    for name in ("alerts.yml", "prometheus.yml"):
        text = (MONITORING / name).read_text()
        token = tmp_path / "token"
        token.write_text("t")
        (tmp_path / name).write_text(text.replace("/etc/prometheus/opsmantik.token", str(token)))
    for words in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        checked = subprocess.run(["promtool", "check", *words], cwd=tmp_path, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(not shutil.which("promtool"), reason="tests/need_promtool.sh gets it")
def test_the_dashboard_s_questions_can_be_read(tmp_path: Path) -> None:
    """As rules, since promtool reads expressions there."""
    rules = [
        {"record": f"panel:{n}", "expr": target["expr"].replace("$instance", ".*")}
        for n, target in enumerate(target for panel in panels() for target in panel["targets"])
    ]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = subprocess.run(
        ["promtool", "check", "rules", "panels.yml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dashboard_is_whole() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    assert all(panel["description"] and panel["datasource"]["uid"] == "${datasource}" for panel in panels())


# The unit.


def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser


def test_the_unit_starts_and_stops_it_as_it_wants_to_be() -> None:
    from opsmantik.cli.supervisor import STOP_SECONDS

    service = unit()["Service"]
    assert service["ExecStart"].split()[-1] in COMMANDS
    assert service["User"] != "root" and service["KillSignal"] == "SIGTERM" and service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > STOP_SECONDS + 60
    variable = service["Environment"].partition("=")[0]
    assert variable in {known.name for known in settings.variables()}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd on this machine")
def test_systemd_takes_the_unit_and_calls_it_closed(tmp_path: Path) -> None:
    there = tmp_path / "opsmantik.service"
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE)
    there.write_text(re.sub(r"^(User|Group)=.*\n", "", text, flags=re.MULTILINE))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(there)], capture_output=True, text=True
    )
    assert checked.returncode == 0 and str(there) not in checked.stderr, checked.stderr
    there.write_text(text)
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(there)],
        capture_output=True,
        text=True,
    )
    assert rated.returncode == 0, rated.stdout[-600:]


# The image.


def dockerfile() -> list[str]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return re.sub(r"\\\n\s*", " ", text).splitlines()


def test_hadolint_finds_nothing() -> None:
    hadolint = ROOT / ".venv" / "bin" / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint is not installed")
    checked = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_image_runs_as_nobody_in_particular_and_says_whether_it_is_well() -> None:
    last = dockerfile()[[n for n, line in enumerate(dockerfile()) if line.startswith("FROM ")][-1] :]
    said = {line.split()[0]: line for line in last if line}
    assert said["USER"].split()[1] not in ("root", "0")
    assert "/readyz" in said["HEALTHCHECK"] and said["VOLUME"].split()[1] == "/var/lib/opsmantik"
    assert json.loads(said["CMD"].partition(" ")[2])[0] in COMMANDS
    for variable in re.findall(r"(OPSMANTIK_\w+)=", "\n".join(last)):
        assert variable in {known.name for known in settings.variables()}


def test_everything_that_the_image_copies_is_let_in_and_nothing_else_is() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    let_in = {line[1:] for line in lines if line[0] == "!"}
    assert all((ROOT / name).exists() for name in let_in)
    assert let_in >= {"opsmantik", "integrations", "requirements", "pyproject.toml", "README.md", "LICENSE"}


STRING, FLAG, LIST, MAPPING = str, bool, list, dict
SERVICE: Final[dict[str, Any]] = {
    "build": STRING, "image": STRING, "restart": STRING, "init": FLAG, "ports": LIST, "environment": MAPPING,
    "volumes": LIST, "read_only": FLAG, "tmpfs": LIST, "shm_size": STRING, "cap_drop": LIST, "security_opt": LIST,
    "stop_grace_period": STRING, "ulimits": MAPPING, "healthcheck": MAPPING, "depends_on": (LIST, MAPPING),
}  # fmt: skip
"""What the Compose specification knows of a service, as far as we use it."""


def test_compose_keeps_to_the_specification() -> None:
    assert COMPOSE.keys() <= {"services", "volumes", "name"}
    for service in COMPOSE["services"].values():
        assert service.keys() <= SERVICE.keys()
        for name, value in service.items():
            assert isinstance(value, SERVICE[name]), name
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source.startswith((".", "/")) or source in COMPOSE["volumes"]
        for variable, value in service["environment"].items():
            assert variable in {known.name for known in settings.variables()}
            assert re.fullmatch(rf"\$\{{{variable}:-[^}}]*\}}", value), value
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), "a proxy belongs in front"
        assert service["cap_drop"] == ["ALL"] and service["read_only"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("tests/need_*.sh")), ids=lambda path: path.name)
def test_what_gets_tools_is_a_script_that_can_be_read(path: Path) -> None:
    assert subprocess.run(["sh", "-n", path]).returncode == 0 and path.stat().st_mode & 0o111
