"""The ad platforms as this installation sees them: how each answers, over all sites and servers, and the switch that stops
everything that goes there."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from litestar import post
from litestar.response import Redirect

from opsmantik.conversions import store
from opsmantik.conversions.adapters import PUSHED
from opsmantik.conversions.store import Provider
from opsmantik.errors import Malformed
from opsmantik.people.capabilities import Capability
from opsmantik.web.conversion_words import reason_of
from opsmantik.web.guard import asker, needs
from opsmantik.web.login import form_of
from opsmantik.web.rendering import PageRequest

RUNS: Final = needs(Capability.PLATFORM)
Level = Literal["fine", "look", "broken"]


class ProviderLine(NamedTuple):
    """A platform: its name, whether it may be gone to, and what is known of its circuit."""

    name: str
    is_on: bool
    level: Level
    known: Provider | None
    waits_until: datetime | None
    """It does not answer, and is left alone until then."""
    why: str | None


async def provider_lines(connection: Any, now: datetime) -> list[ProviderLine]:
    """Every platform that a worker sends to."""
    known = {one.provider: one for one in await store.providers(connection)}
    return [line_of(name, known.get(name), now) for name in PUSHED]


def line_of(name: str, known: Provider | None, now: datetime) -> ProviderLine:
    """How one stands; of a platform that never failed nothing is known, and all is well."""
    if known is None:
        return ProviderLine(name, True, "fine", None, None, None)
    waits = known.open_until if known.open_until.tzinfo is not None and known.open_until > now else None
    level: Level = "broken" if waits else "look" if known.failures or not known.is_on else "fine"
    return ProviderLine(
        name, known.is_on, level, known, waits, reason_of(known.reason) if known.reason else None
    )


@post("/admin/providers", opt=RUNS)
async def switch_provider(request: PageRequest) -> Redirect:
    """Stop everything that goes to a platform, or let it go again; either way it is tried anew."""
    form = await form_of(request)
    name = form.get("provider", "")
    if name not in PUSHED:
        raise Malformed(reason=f"a provider is one of {', '.join(PUSHED)}")
    async with request.app.state.database.as_person(asker(request), write=True) as (connection, _):
        await store.switch_provider(connection, name, is_on=form.get("is_on") == "yes")
    return Redirect("/admin/health#providers", status_code=303)


HANDLERS: Final = [switch_provider]
