"""docs/performance.md, written from the raw results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results import Figure, Result

HEAD = """\
<!-- Written by bench/run.py from bench/results/*.json. Do not edit; change bench/page.py. -->

# Performance

What this installation can take, measured by `make bench` (all of it, about six minutes) or
`make bench ARGS="NAME ..."`. Every number is the median of its runs; in brackets the lowest and the highest. A run
counts only if every answer was 200 and exactly the events that were answered are stored, each once. Raw numbers:
[`bench/results/`](../bench/results).

| figure | reached | aim | least | bound by what |
| --- | ---: | ---: | ---: | --- |
"""

METHOD = """
## How it is measured

- **Server.** `opsmantik serve` as in production, one process, behind what looks like a proxy that names the visitors'
  addresses; every event goes through all steps: attribution, place, device, session, lead. The bundled PostgreSQL with
  its usual settings, `synchronous_commit` and `fsync` on, data on a disk. An answer means: committed.
- **Cores.** Server, PostgreSQL and load generator share the cores named below, however many the machine has.
- **Traffic.** Visits of six events on average (views, two depths of scrolling, heartbeats) on three sites, two
  thousand at a time; half begin with an ad click, with click id and UTMs, that later events carry along; 15 in 100 tap
  a phone or WhatsApp link. Bodies and headers are what the tracker sends. A heartbeat counts as an event: it moves its
  session, durably. A batch holds 50 events of some twenty visitors of one site.
- **Throughput** is a closed loop: each connection sends again when it is answered. **Latency** at 500 events a second
  is an open loop with exponential gaps, counted from the time at which a request was due, not from when it could be
  sent: a stall counts for everybody who came during it.
- **CPU** is user and system time from the kernel's books; PostgreSQL's is that of all its processes.
- **The limit** is the same rows in plain batches into an equal table, in turns with the doors.
- **The database has been at work**: some thousand events are stored and statistics gathered before the first
  measurement.
"""


def render(results: Sequence[Result], about: Mapping[str, str]) -> str:
    """The page; ``about`` says in a line what each bench does."""
    rows = [_row(figure) for result in results for figure in result.figures]
    return HEAD + "\n".join(rows) + "\n" + METHOD + _circumstances(results, about)


def _row(figure: Figure) -> str:
    unit = f" {figure.unit}" if figure.unit else ""
    reached = _number(figure.reached)
    if figure.low != figure.high:
        reached += f" ({_number(figure.low)} to {_number(figure.high)})"
    sign = "≤ " if figure.small_is_good else ""
    aim = f"{sign}{_number(figure.aim)}" if figure.aim is not None else ""
    least = f"{sign}{_number(figure.least)}" if figure.least is not None else ""
    if not figure.is_met:
        reached = f"**{reached}**, missed"
    return f"| {figure.name}{',' if unit else ''}{unit} | {reached} | {aim} | {least} | {figure.bound} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def _circumstances(results: Sequence[Result], about: Mapping[str, str]) -> str:
    lines = ["\n## When and on what\n"]
    machines: list[object] = []
    for result in results:
        if result.machine not in machines:
            machines.append(result.machine)
            m = result.machine
            lines.append(
                f"- Machine {len(machines)}: {m.cores_used} of {m.cores_present} cores, {m.processor}, {m.memory_gb} GB, "
                f"{m.kernel}, {m.filesystem}; Python {m.python}, PostgreSQL {m.postgresql}."
            )
    lines += [
        "",
        "| bench | what | when | machine | load average before |",
        "| --- | --- | --- | --- | --- |",
    ]
    for result in results:
        load = " ".join(f"{value:.2f}" for value in result.load_average[0])
        number = machines.index(result.machine) + 1
        lines.append(f"| `{result.name}` | {about[result.name]} | {result.date} | {number} | {load} |")
    return "\n".join(lines) + "\n"
