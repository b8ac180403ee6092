"""How long an answer takes when visitors come as they come: 500 events a second, due times that nothing moves."""

from __future__ import annotations

from typing import Any

import msgspec
from results import Figure, Wanted, bound_by, figures
from stand import Stand

RATE, SECONDS, WARM = 500.0, 30.0, 2.0


def latency(stand: Stand, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Open loop; latency counts from the due time, so a stall counts for all who came during it."""
    report, grown = stand.drive("present", connections=64, seconds=SECONDS * scale, warm=WARM, rate=RATE)
    run: dict[str, Any] = msgspec.to_builtins(report)
    run["events_per_transaction"] = grown.ingested / max(grown.transactions, 1)
    wanted = [
        Wanted("500 events/s: answer, p50", "ms", lambda run: run["latency_ms"]["p50"], None, 10, True),
        Wanted("500 events/s: answer, p99", "ms", lambda run: run["latency_ms"]["p99"], None, 50, True),
        Wanted("500 events/s: answer, p99.9", "ms", lambda run: run["latency_ms"]["p99.9"]),
        Wanted("500 events/s: events in a transaction", "", lambda run: run["events_per_transaction"]),
        Wanted("500 events/s: errors", "", lambda run: float(sum(run["failures"].values())), None, 0, True),
    ]
    bound = bound_by([run], stand.cores, "the time for which events are gathered, and one commit")
    return figures([run], wanted, bound), [run]
