"""How the programs log: one line a message, with its time and level; errors with a plain traceback.

No values of local variables: they hold visitors' data and secrets.
"""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Send every message of at least `level` (debug, info, warning, error) to standard error."""
    least = getattr(logging, level.upper())
    logging.basicConfig(
        level=least, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        # asked for at each message: whoever captures the stream, for a log file or a test, gets them all
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
