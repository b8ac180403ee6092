"""What a lead may be and become, as the rooms say it: for checks that hold the rows against it."""

from __future__ import annotations

from typing import Any

from opsmantik.audit.needs import Catalogue
from opsmantik.conversions.ledger import STAGE_WEIGHT
from opsmantik.intents import status
from opsmantik.sites.trackers import TRACKER


async def lead_model(connection: Any, there: Catalogue) -> dict[str, Any]:
    """``statuses``; ``sealed`` ones and ``waiting`` ones; ``moves``: act, from, to; ``first``: those that the first
    generation's rows may have; ``stage_weight``: the reason of a value in the ledger that is no amount."""
    return {
        "statuses": list(status.Status),
        "sealed": list(status.SEALED),
        "waiting": list(status.WAITING),
        "moves": [
            {"action": action, "was": was, "becomes": becomes}
            for action, moves in status.MOVES.items()
            for was, becomes in moves.items()
        ],
        "first": list(status.first_generation()),
        "stage_weight": STAGE_WEIGHT,
    }


async def trackers(connection: Any, there: Catalogue) -> dict[str, Any]:
    """``oldest``: the version of the tracker that lacks nothing; older ones lose something of what they see."""
    return {"oldest": TRACKER}
