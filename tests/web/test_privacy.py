"""Privacy as people and programs do it: the settings' part, the search for a person, the certificate, the endpoints."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.people.capabilities import MEMBER_ROLES
from tests.ingest.conftest import CHROME
from tests.privacy.conftest import places_of

pytestmark = pytest.mark.slow

PLACE = "/sites/{}/settings/privacy"


async def visitor(web: Any, site: Any, name: str) -> str:
    """A visit with a tap; the visitor's id."""
    vid, now = f"{name}-{uuid4().hex}", int(time.time() * 1000)
    events = [
        {"id": str(uuid4()), "ts": now, "sid": str(uuid4()), "vid": vid, "cat": "interaction", "act": "view",
         "url": "https://shop.example/"},
    ]  # fmt: skip
    events.append(
        events[0] | {"id": str(uuid4()), "cat": "conversion", "act": "phone_call", "label": "tel:02125550101"}
    )
    browser = web.browser(**{"origin": "https://shop.example", "user-agent": CHROME})
    answer = await browser.http.post(
        "/v1/events", content=json.dumps({"site": site.public_id, "sent": now, "events": events})
    )
    assert answer.status_code == 200, answer.text
    return vid


async def test_the_policy_is_changed_and_explained(
    signed_in: Any, own_site: Any, owner: Any, web: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    here = PLACE.format(site.id)
    shown = await browser.get(here)
    assert (
        shown.status_code == 200 and "Unless they object" in shown.text and "Only with consent" in shown.text
    )
    changed = await browser.submit(here, here, consent_mode="required", retention="months", months="12")
    assert changed.status_code == 303
    row = await owner.fetchrow(
        "SELECT consent_mode, keep_ip, ip_forgotten, retention_months FROM sites WHERE id = $1", site.id
    )
    assert tuple(row) == ("required", False, False, 12)
    act = await owner.fetchrow("SELECT action, detail FROM site_acts WHERE site_id = $1", site.id)
    assert act["action"] == "privacy.change" and act["detail"] == {
        "consent_mode": ["implied", "required"], "keep_ip": [True, False], "retention_months": [25, 12],
    }  # fmt: skip
    await web.app.collect.registry.refresh()
    known = web.app.collect.registry.find(site.public_id)
    assert (known.consent_mode, known.keep_ip) == ("required", False)
    forever = await browser.submit(
        here, here, consent_mode="implied", retention="forever", months="", keep_ip="yes"
    )
    assert forever.status_code == 303
    assert await owner.fetchval("SELECT retention_months FROM sites WHERE id = $1", site.id) is None
    for months in ("1", "61", "ten", ""):
        refused = await browser.submit(here, here, consent_mode="implied", retention="months", months=months)
        assert refused.status_code == 422 and 'id="months-problem"' in refused.text


async def test_a_person_is_looked_at_handed_out_and_erased(
    signed_in: Any, own_site: Any, owner: Any, web: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    here, vid = PLACE.format(site.id), await visitor(web, site, "a")
    looked = await browser.submit(here, f"{here}/person", kind="visitor", value=vid, do="look")
    assert looked.status_code == 200 and "What is known" in looked.text and vid in looked.text
    document = await browser.submit(here, f"{here}/person", kind="visitor", value=vid, do="export")
    assert (
        document.headers["content-disposition"].startswith("attachment")
        and len(document.json()["events"]) == 2
    )
    erased = await browser.submit(here, f"{here}/person", kind="visitor", value=vid, do="erase")
    assert erased.status_code == 303
    assert await places_of(owner, [vid]) == []
    shown = await browser.get(here)
    link = re.search(rf'href="({here}/erasures/[0-9a-f-]+)"', shown.text)
    assert link is not None
    certificate = await browser.get(link[1])
    assert "Signed by this installation" in certificate.text and vid not in certificate.text
    signed = (await browser.get(link[1] + "?as=json")).json()
    assert signed["erased"]["sessions"] == 1 and len(signed["signature"]) == 64
    nobody = await browser.submit(here, f"{here}/person", kind="phone", value="112", do="look")
    assert nobody.status_code == 422 and "not a whole telephone number" in nobody.text


async def test_programs_do_the_same(signed_in: Any, own_site: Any, owner: Any, web: Any) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    base, vid = f"/api/v1/sites/{site.id}/privacy", await visitor(web, site, "p")
    body = {"kind": "visitor", "value": vid}
    preview = await browser.http.post(f"{base}/erasures", json=body | {"preview": True})
    assert preview.status_code == 200
    rows = {row["name"]: row["n"] for row in preview.json()["rows"]}
    assert rows == {"sessions": 1, "events": 2, "calls": 1, "visitors": 1}
    document = await browser.http.post(f"{base}/exports", json=body)
    assert document.status_code == 200 and len(document.json()["leads"]) == 1
    certificate = await browser.http.post(f"{base}/erasures", json=body)
    assert certificate.status_code == 200 and certificate.json()["erased"]["calls"] == 1
    assert await places_of(owner, [vid]) == []
    listed = (await browser.http.get(f"{base}/erasures")).json()["erasures"]
    assert [line["id"] for line in listed] == [certificate.json()["id"]]
    again = await browser.http.get(f"{base}/erasures/{listed[0]['id']}")
    assert again.content == certificate.content
    for wrong, status in (
        ({"kind": "name", "value": "x"}, 422),
        ({"kind": "phone"}, 400),
        ({**body, "all": True}, 400),
    ):
        assert (await browser.http.post(f"{base}/erasures", json=wrong)).status_code == status


@pytest.mark.parametrize("role", [*MEMBER_ROLES[1:], None])
async def test_who_may(signed_in: Any, own_site: Any, owner: Any, role: str | None) -> None:
    browser, user_id = await signed_in()
    _, other_id = await signed_in()
    site = await own_site(other_id)
    if role is not None:
        await owner.execute(
            "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, $3)", site.id, user_id, role
        )
    expected = {"admin": 200, None: 404}.get(role, 403)
    body = {"kind": "visitor", "value": "x", "preview": True}
    answers = [
        await browser.get(PLACE.format(site.id)),
        await browser.http.get(f"/api/v1/sites/{site.id}/privacy/erasures"),
        await browser.http.post(f"/api/v1/sites/{site.id}/privacy/erasures", json=body),
        await browser.http.post(f"/api/v1/sites/{site.id}/privacy/exports", json=body),
    ]
    assert [answer.status_code for answer in answers] == [expected] * 4
