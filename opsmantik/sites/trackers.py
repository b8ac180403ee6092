"""Which versions of the tracker a site's pages may carry."""

from __future__ import annotations

from typing import Final

TRACKER: Final = "1.0.0"
"""The oldest version of the tracker that does all that this server can. The first generation's names none."""


def is_old(version: str | None) -> bool:
    """Whether this version of the tracker lacks something; one that cannot be read does."""
    try:
        return tuple(map(int, (version or "").split("."))) < tuple(map(int, TRACKER.split(".")))
    except ValueError:
        return True
