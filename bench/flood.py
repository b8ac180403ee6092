"""How a flood on one site is felt on the next: site B at 100 events a second, alone and beside site A at 2,000."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from load import Report
from results import Figure, Wanted, bound_by, figures
from stand import HERE, Stand, VoidError

from opsmantik.settings import Settings

ROUNDS, SECONDS, WARM = 5, 10.0, 2.0
STEADY, TIMES = 100.0, 20
# The flood comes from as many addresses as it has visits: no single client is over its own limit.
STEADY_CONNECTIONS, FLOOD_CONNECTIONS = 16, 64
QUIET, NOISY = 0, 1  # places among the stand's sites


def flood(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Open loop, in turns: B alone, then B while A is flooded at twenty times B's rate from thousands of addresses."""
    limit = Settings().site_rate_limit_per_minute
    runs = []
    with Stand(directory, OPSMANTIK_SITE_RATE_LIMIT_PER_MINUTE=str(limit)) as stand:
        for number in range(ROUNDS):
            runs.append(_round(stand, SECONDS * scale, number))
        cores = stand.cores
    told = [
        Wanted("site B alone: answer, p50", "ms", lambda run: run["alone"]["latency_ms"]["p50"]),
        Wanted("site B alone: answer, p99", "ms", lambda run: run["alone"]["latency_ms"]["p99"]),
        Wanted("site B beside the flood: answer, p50", "ms", lambda run: run["beside"]["latency_ms"]["p50"]),
        Wanted("site B beside the flood: answer, p99", "ms", lambda run: run["beside"]["latency_ms"]["p99"]),
        Wanted("site A: events stored", "1/s", lambda run: run["flood"]["events"] / run["flood"]["seconds"]),
        Wanted("site A: told to wait (429)", "1/s", lambda run: run["told_to_wait"]),
    ]
    found = figures(runs, told)
    ratio = _ratio(runs)
    ratio.bound = bound_by([run["beside"] for run in runs], cores)
    return [ratio, *found], runs


def _ratio(runs: list[dict[str, Any]]) -> Figure:
    """Of the medians, not the median of ratios: a stall of the machine falls on one run of a pair."""
    alone = statistics.median(run["alone"]["latency_ms"]["p99"] for run in runs)
    beside = statistics.median(run["beside"]["latency_ms"]["p99"] for run in runs)
    each = [run["beside"]["latency_ms"]["p99"] / run["alone"]["latency_ms"]["p99"] for run in runs]
    low, high = (float(f"{value:.3g}") for value in (min(each), max(each)))
    return Figure(
        "site B: p99 beside the flood / alone", "", float(f"{beside / alone:.3g}"), low, high, least=1.5,
        small_is_good=True,
    )  # fmt: skip


def _round(stand: Stand, seconds: float, number: int) -> dict[str, Any]:
    stand.settle()
    alone = _finish(_begin(stand, QUIET, STEADY, STEADY_CONNECTIONS, seconds, WARM, number))
    stand.settle()
    noise = _begin(stand, NOISY, STEADY * TIMES, FLOOD_CONNECTIONS, seconds + WARM, WARM, number)
    beside = _finish(_begin(stand, QUIET, STEADY, STEADY_CONNECTIONS, seconds, WARM, 100 + number))
    flooded = _finish(noise)
    for report in (alone, beside):
        if report.failures:
            raise VoidError(f"site B was refused something: {report.failures}\n{stand.words()}")
    if set(flooded.failures) != {"429"}:
        raise VoidError(
            f"site A was to be told to wait, and nothing else: {flooded.failures}\n{stand.words()}"
        )
    return {
        "alone": msgspec.to_builtins(alone),
        "beside": msgspec.to_builtins(beside),
        "flood": msgspec.to_builtins(flooded),
        "told_to_wait": flooded.failures["429"] / (flooded.seconds + WARM),
    }


def _begin(
    stand: Stand, site: int, rate: float, connections: int, seconds: float, warm: float, seed: int
) -> subprocess.Popen[bytes]:
    order = stand.order(
        "present", connections=connections, seconds=seconds, warm=warm, rate=rate, seed=seed + 1
    )
    order.sites = [stand.sites[site]]
    process = subprocess.Popen(
        [sys.executable, str(HERE / "load.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(order))
    process.stdin.close()
    process.stdin = None
    return process


def _finish(process: subprocess.Popen[bytes]) -> Report:
    out, _ = process.communicate(timeout=180)
    if process.returncode:
        raise VoidError("the generator broke")
    return msgspec.json.decode(out, type=Report)
