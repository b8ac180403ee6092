"""How many events a second are stored for good, and what each costs: closed loop, every connection always busy."""

from __future__ import annotations

from typing import Any

import msgspec
from mix import Kind
from results import Figure, Wanted, bound_by, figures
from stand import Stand

ROUNDS, SECONDS, FIRST_WARM, WARM = 3, 10.0, 3.0, 1.0


def _wanted(aim: float, least: float, what: str) -> list[Wanted]:
    def cpu(part: str) -> Any:
        return lambda run: run["cpu_seconds"][part] / run["events"] * 1000

    return [
        Wanted(f"{what}, durable", "events/s", lambda run: run["events"] / run["seconds"], aim, least),
        Wanted(f"{what}: CPU in Python", "ms/event", cpu("server"), None, 0.15, True, False),
        Wanted(f"{what}: CPU in PostgreSQL", "ms/event", cpu("postgres"), None, 0.08, True, False),
        Wanted(f"{what}: CPU in the generator", "ms/event", cpu("generator")),
        Wanted(f"{what}: answer, p50", "ms", lambda run: run["latency_ms"]["p50"], small_is_good=True),
        Wanted(f"{what}: answer, p99", "ms", lambda run: run["latency_ms"]["p99"], small_is_good=True),
        Wanted(f"{what}: events in a transaction", "", lambda run: run["events_per_transaction"]),
    ]


def measure(stand: Stand, kind: Kind, connections: int, scale: float) -> list[dict[str, Any]]:
    """The raw runs; ``scale`` shortens them for a rehearsal."""
    runs = []
    for number in range(ROUNDS):
        runs.append(
            one(stand, kind, connections, SECONDS * scale, FIRST_WARM if number == 0 else WARM, number)
        )
    return runs


def one(stand: Stand, kind: Kind, connections: int, seconds: float, warm: float, seed: int) -> dict[str, Any]:
    """One run: the generator's report, and how many events went into a transaction."""
    report, grown = stand.drive(kind, connections=connections, seconds=seconds, warm=warm, seed=seed + 1)
    run: dict[str, Any] = msgspec.to_builtins(report)
    return run | {"events_per_transaction": grown.ingested / max(grown.transactions, 1)}


def ingest_single(stand: Stand, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """POST /v1/events, one event a request, 64 connections."""
    runs = measure(stand, "present", 64, scale)
    return figures(runs, _wanted(6000, 4000, "single events"), bound_by(runs, stand.cores)), runs


def ingest_first_generation(stand: Stand, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """POST /api/sync, bodies of the first generation's tracker, 64 connections."""
    runs = measure(stand, "first_generation", 64, scale)
    return figures(runs, _wanted(6000, 4000, "first generation"), bound_by(runs, stand.cores)), runs


def ingest_batch(stand: Stand, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """POST /v1/events, 50 events a request, 16 connections."""
    runs = measure(stand, "batch", 16, scale)
    return figures(runs, _wanted(18_000, 12_000, "batches of 50"), bound_by(runs, stand.cores)), runs
