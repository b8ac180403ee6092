"""docs/performance.md, written from the raw results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts import table as contract_table
from results import Figure, Result

HEAD = """\
<!-- Written by bench/run.py from bench/results/*.json. Do not edit; change bench/page.py. -->

# Performance

What this installation can take, measured by `make bench` (about forty-five minutes and 9 GB of disk),
`make bench ARGS="NAME ..."` and `make soak` (half an hour more). Every number is the median of its runs; in brackets the
lowest and the highest. A run counts only if every answer was 200 and exactly the events that were answered are stored,
each once. Raw numbers:
[`bench/results/`](../bench/results).

| figure | reached | aim | least | bound by what |
| --- | ---: | ---: | ---: | --- |
"""

CONTRACTS = """
## What each contract costs

Milliseconds of the first call on a connection / of a later one, and buffers of a later one, by the number of events in
the database; the time to plan the first call; a member's time as a multiple of what it takes without row security.
"Busy": while the journal holds five transactions that are not folded yet. "30 times 24 h" begins and ends in the
middle of a day, so that two parts of days are counted from their rows.

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
- **Worlds** are databases in one server that hold two months of visits of 20 sites, the first with 40 % of them: six
  events a visit, half of the visits paid, 12 sources, 4 devices, 25 places, 30 pages, 12 campaigns, 60 keywords; 15 in
  100 visits tap, one in ten of those twice, 4 in 100 send a form; three in five leads older than two days are decided
  about. Their counters are built by `rebuild_counters`. All contracts are about the first site, asked by an operator of
  all 20.
- **A call** of a contract is the transaction that the server makes for a request. Milliseconds and buffers (blocks of
  8 kB, in memory or not) are of the contract's own statements, by `pg_stat_statements`; all worlds are asked in turns.
- **Counters' cost** is the same traffic with and without them in turns, in one database; without: the same function
  with the entries left out, nothing folded.
- **A sign-in's cost** is the median time of a request with its cookie less that of the same request without one, in turns
  on one connection; the request reads nothing else.
- **The overview** is opened in Debian's Chromium with its processor slowed four times, each time with nothing in its
  cache: the last 30 days of a demo's site. A touch lasts from the event to the next paint, as the browser tells it, in
  steps of 8 ms. Layout shift is what moved while the figures were fetched three times over.
- **Everybody at once** (and the soak) is the traffic of 500 events a second, fifty dashboards and five operators. A
  dashboard asks for its figures again whenever its stream tells of a change, at most once a second; an operator reads the
  list of waiting leads and decides about one every two seconds or so. Each kind of request is timed on its own. At the end
  all counters are compared with a count of all rows. The soak has conversions, webhooks and the server's jobs on besides.
- **Conversions** are sent by the server's own worker to a server in another process that speaks Google's Data Manager API
  strictly and takes 300 requests a minute; it must hold each of them, once. The ledger's figures are of its own
  statements on one connection, the quickest of three calls.
- **The audit** is the command, read-only, on the largest world. Who waits for one of its locks is asked forty times a
  second; that this would be noticed is tried in every run.
- **Disk** is what PostgreSQL's files take after a plain VACUUM, tables with their TOAST.
- **Visible** is an event when the site's stream has told of a state that holds it, by the sequence number; from then on
  every figure that is asked for has it.
"""


def render(results: Sequence[Result], about: Mapping[str, str]) -> str:
    """The page; ``about`` says in a line what each bench does."""
    rows = [_row(figure) for result in results for figure in result.figures]
    return HEAD + "\n".join(rows) + "\n" + _contracts(results) + METHOD + _circumstances(results, about)


def _contracts(results: Sequence[Result]) -> str:
    """All of them, where they have been measured."""
    found = next((result for result in results if result.name == "contracts"), None)
    return CONTRACTS + contract_table(found.runs) if found else ""


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
