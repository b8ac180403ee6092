"""``GET /api/v1/sites/{site}/acts``: the log of administrative acts as programs read it; and the words in which the
screens tell an act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get

from opsmantik.dashboard import acts
from opsmantik.dashboard.acts import Act
from opsmantik.dashboard.asked import asked_site
from opsmantik.errors import Malformed, NotFound
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import NOW, PREFIX, reply
from opsmantik.web.guard import asker, needs
from opsmantik.web.language import Words
from opsmantik.web.rendering import PageRequest


@get(f"{PREFIX}/{{site_name:str}}/acts", opt=needs(Capability.WRITE))
async def show_acts(request: PageRequest) -> Response[Any]:
    """Who changed what about the site, newest first, by the page."""
    cursor, limit = request.query_params.get("cursor"), _limit(request.query_params.get("limit"))
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        site = await asked_site(connection, person, request.path_params["site_name"])
        if site is None:
            raise NotFound(what="site")
        found = await acts.site_acts(connection, site.id, cursor, limit)
    return reply(request, found, NOW)


def _limit(text: str | None) -> int:
    if text is None:
        return acts.PAGE
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise Malformed(reason="limit is a whole number from 1")
    return min(int(text), acts.MOST)


class _Values(dict[str, object]):
    """What an act's words are filled with; what it does not say is a dash, not an error."""

    def __missing__(self, key: str) -> str:
        return "—"


def said(words: Words, sentence: str, act: Act) -> str:
    """The sentence for an act with its values in it; roles by their words, yes and no by theirs."""
    values = {name: _in_words(words, value) for name, value in act.detail.items()}
    known: Mapping[str, object] = {**values, "subject": act.subject or "—", "action": act.action}
    return sentence.format_map(_Values(known))


def _in_words(words: Words, value: object) -> str:
    if isinstance(value, bool):
        return words("act_log.yes") if value else words("act_log.no")
    if isinstance(value, list):
        return ", ".join(_in_words(words, one) for one in value)
    if value is None:
        return "—"
    return words.get(f"roles.{value}", str(value))


HANDLERS: Final = [show_acts]
