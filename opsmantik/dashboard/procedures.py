"""What a call of the first generation is: its name, its arguments, and the function that answers it.

The functions are translations: they ask a contract and give its answer the first generation's keys. One is called as
``call(connection, site, **arguments)``, the arguments by their names without ``p_``. Where there are ``p_date_from``
and ``p_date_to``, they arrive as one ``asked``, a :class:`~opsmantik.clock.Period` that has been checked as
``validate_date_range`` did. What it returns is written as JSON; ``None`` is written as nothing where the function is
void. Who may call it is settled before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

import msgspec

from opsmantik.people.capabilities import Capability

# A bound is an instant too, but whoever checks ranges says what is wrong with it.
Kind = Literal["uuid", "instant", "bound", "integer", "boolean", "text", "record"]
REQUIRED: Final = "required"


class Argument(msgspec.Struct, frozen=True):
    """One argument of a call. A null that comes for one with a default acts as the default."""

    name: str
    kind: Kind
    default: Any = REQUIRED
    description: str = ""


class Procedure(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the first generation."""

    name: str
    summary: str
    arguments: tuple[Argument, ...]
    call: Callable[..., Awaitable[Any]]
    answer: Any
    """The type that it returns, for the description of the interface; ``None`` for void."""
    needs: Capability = Capability.READ
    """What the asker must be allowed to do."""
    contract: str = ""
    """The contract that it translates, if it reads a site."""
    successor: str | None = None
    """The call that replaces it; then the answer carries a ``Deprecation`` header."""


SITE: Final = Argument("p_site_id", "uuid", description="The site's id.")
FROM: Final = Argument("p_date_from", "bound", None, "The first instant of the range.")
TO: Final = Argument("p_date_to", "bound", None, "The first instant after the range.")
ADS: Final = Argument("p_ads_only", "boolean", True, "Only ad traffic.")
SITE_RANGE_ADS: Final = (SITE, FROM, TO, ADS)
