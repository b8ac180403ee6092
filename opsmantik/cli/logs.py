"""How the programs log: one line a message, with its time, its level and the id of the request that it belongs to; errors
with a plain traceback.

No values of local variables: they hold visitors' data and secrets. Nor the words of the database's errors, which quote rows
and parameters: of those the name, the code and the constraint.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Any

import asyncpg
import structlog

from opsmantik.web.request_ids import current, name_request


def configure(level: str) -> None:
    """Send every message of at least `level` (debug, info, warning, error) to standard error."""
    least = getattr(logging, level.upper())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=least, handlers=[handler])
    # They write down every address that is called, and often there is a secret in its path.
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            name_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(lambda found: told(found[1])),
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        # asked for at each message: whoever captures the stream, for a log file or a test, gets them all
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def told(error: BaseException | None) -> str:
    """A traceback, and those of what caused it, without what databases quote."""
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts.append("".join(traceback.format_tb(error.__traceback__)) + _named(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhile handling, or because of:\n".join(parts)


def _named(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, asyncpg.PostgresError):
        return " ".join(filter(None, (name, error.sqlstate, getattr(error, "constraint_name", None))))
    return name if isinstance(error, asyncpg.InterfaceError) else f"{name}: {error}"


class _Plain(logging.Formatter):
    """For programs that log through the standard library."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        said, request_id = super().formatMessage(record), current()
        return f"{said} request_id={request_id}" if request_id else said

    def formatException(  # noqa: N802 - the library's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | Any,
    ) -> str:
        return told(ei[1])
