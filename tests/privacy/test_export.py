"""A person's data as JSON: all of theirs, and nobody else's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from opsmantik.errors import TooManyRequests
from opsmantik.privacy import export
from opsmantik.privacy.subject import Kind
from opsmantik.upkeep.subjects import read_subject
from tests.privacy.conftest import SEALS
from tests.privacy.test_erasure import Person, seal_and_note, visit

PARTS = {
    "visitors": 1, "sessions": 1, "events": 3, "leads": 2, "decisions": 2, "conversions": 1, "conversion_moves": 1,
    "webhook_deliveries": 0, "refused_events": 1,
}  # fmt: skip


async def test_everything_of_one_person_and_of_nobody_else(
    door: Any, make_site: Any, make_keeper: Any, item: Any, owner: Any
) -> None:
    site = await make_site()
    keeper = make_keeper(site)
    person, other = Person("a"), Person("b")
    for one in (person, other):
        await visit(door, site, item, one)
        await seal_and_note(keeper, one)
    async with keeper.transactions() as connection:
        document = await export.export(
            connection, site.id, read_subject(Kind.VISITOR, person.vid, "TR"), SEALS
        )
    found = msgspec.json.decode(document)
    assert {name: len(found[name]) for name in PARTS} == PARTS
    text = document.decode()
    assert [needle for needle in person.needles if needle not in text and "-" in needle] == []
    assert person.token in text and person.note in text and person.gclid in text
    assert [needle for needle in other.needles if needle in text] == []
    assert found["subject"] == {"kind": "visitor", "value": person.vid, "with_taps": False}
    assert found["sessions"][0]["ip_address"] == "127.0.0.0" and "first_key" not in found["sessions"][0]
    assert "no uuid" in found["refused_events"][0]["payload"]
    acts = await owner.fetch("SELECT action FROM site_acts WHERE site_id = $1", site.id)
    assert [row["action"] for row in acts] == ["privacy.export"]


async def test_exports_are_limited_with_erasures(make_site: Any, make_keeper: Any) -> None:
    keeper = make_keeper(await make_site())
    subject = read_subject(Kind.VISITOR, "nobody", "TR")
    for n in range(11):
        async with keeper.transactions() as connection:
            if n < 10:
                await export.export(connection, keeper.site.id, subject, SEALS)
                continue
            with pytest.raises(TooManyRequests):
                await export.export(connection, keeper.site.id, subject, SEALS)
