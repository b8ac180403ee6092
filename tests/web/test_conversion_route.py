"""Where a site's conversions go: the form, the secrets, the test, the switch, and who may do any of it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from opsmantik.conversions import store
from tests.web.ledger_world import ADS, LedgerWorld, new_ledger
from tests.web.team import acts, text_of

pytestmark = pytest.mark.slow

WRITTEN = {
    "adapter": "data_manager", "data_manager.account_id": "123-456-7890", "data_manager.action_id": "987654321",
    "webhook.url": "not an address, and not chosen either",
}  # fmt: skip


@pytest_asyncio.fixture
async def made(owner: Any, web: Any, app_database: Any) -> LedgerWorld:
    return await new_ledger(owner, web, app_database, fill=False)


def path(made: LedgerWorld, more: str = "") -> str:
    return f"{made.team.settings}/conversions{more}"


async def page(made: LedgerWorld, who: str = "owner", query: str = "") -> str:
    answer = await getattr(made.team, who).browser.get(path(made) + query)
    assert answer.status_code == 200, answer.text
    return unescape(text_of(answer.text))


async def route(made: LedgerWorld) -> Any:
    return await made.owner.fetchrow("SELECT * FROM conversion_routes WHERE site_id = $1", made.site_id)


async def test_a_destination_is_set_as_it_is_shown_and_kept_as_digits(made: LedgerWorld) -> None:
    assert "Until that is said here, conversions wait; none is lost." in await page(made)
    assert 'value="data_manager" checked' in (await made.team.owner.browser.get(path(made))).text
    answer = await made.team.admin.post(path(made), **WRITTEN, with_hashes="on")
    assert answer.headers["location"].endswith("?done=saved")
    row = await route(made)
    assert (row["adapter"], row["destination"], row["with_hashes"], row["is_on"]) == (
        "data_manager",
        ADS,
        True,
        True,
    )
    html = (await made.team.owner.browser.get(path(made))).text
    assert 'value="1234567890"' in html and "not chosen either" not in html
    assert ("conversions.route", "data_manager") in await acts(made.owner, made.team)


async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_kept(made: LedgerWorld) -> None:
    answer = await made.team.owner.post(path(made), **WRITTEN | {"data_manager.account_id": "12"})
    assert answer.status_code == 422
    assert "An account's number has ten digits" in unescape(answer.text)
    assert 'value="987654321"' in answer.text, "what was right is still there"
    answer = await made.team.owner.post(
        path(made), adapter="webhook", **{"webhook.url": "http://127.0.0.1/x"}
    )
    assert answer.status_code == 422
    assert await route(made) is None
    assert (await made.team.owner.post(path(made), adapter="pigeon")).status_code == 400


async def test_only_those_who_may_hand_conversions_over_see_it(made: LedgerWorld) -> None:
    for who in ("operator", "analyst"):
        assert (await getattr(made.team, who).browser.get(path(made))).status_code == 403
        assert (await getattr(made.team, who).post(path(made), **WRITTEN)).status_code == 403
        listed = (await getattr(made.team, who).browser.get(made.team.settings)).text
        assert "settings/conversions" not in listed
    assert (await made.team.stranger.browser.get(path(made))).status_code == 404
    assert "settings/conversions" in (await made.team.admin.browser.get(made.team.settings)).text


async def test_the_switch_stops_and_starts_it_and_what_was_wrong_counts_as_put_right(
    made: LedgerWorld,
) -> None:
    await made.route()
    await made.owner.execute(
        "UPDATE conversion_routes SET trouble = 'terms_and_conditions_not_signed', trouble_at = now() WHERE site_id = $1",
        made.site_id,
    )
    told = await page(made)
    assert "the account has not accepted the terms for customer data" in told
    assert "Conversion settings in Google Ads" in told
    await made.team.owner.post(path(made, "/again"))
    assert (await route(made))["trouble"] is None
    await made.team.owner.post(path(made, "/switch"), is_on="no")
    assert (await route(made))["is_on"] is False
    assert "Sending is switched off" in await page(made)
    # Saving the form is no way to switch it on by mistake.
    await made.team.owner.post(path(made), **WRITTEN)
    assert (await route(made))["is_on"] is False
    await made.team.owner.post(path(made, "/switch"), is_on="yes")
    assert (await route(made))["is_on"] is True


async def test_the_test_says_what_is_missing_and_sends_nothing(made: LedgerWorld) -> None:
    await made.route()
    answer = await made.team.owner.post(path(made, "/check"))
    told = unescape(text_of(answer.text))
    assert answer.status_code == 200
    assert "What the test found" in told and "Missing" in told and "This installation is let in" in told
    await made.route("file", {"conversion_name": "Sealed Lead"})
    assert "Test the connection" not in await page(made)
    assert (await made.team.owner.post(path(made, "/check"))).status_code == 404


async def test_a_secret_is_kept_sealed_and_shown_once_or_never(made: LedgerWorld, web: Any) -> None:
    await made.route("meta", {"dataset_id": "123"})
    assert "There is none yet: nothing can leave." in await page(made)
    assert (await made.team.owner.post(path(made, "/secret"), token="two words")).status_code == 422
    answer = await made.team.owner.post(path(made, "/secret"), token="EAAB-token")
    assert answer.headers["location"].endswith("?done=secret")
    assert b"EAAB" not in (await route(made))["secret"]
    assert "EAAB" not in (await made.team.owner.browser.get(path(made))).text
    await made.route("webhook", {"url": "https://crm.example/in"})
    assert (await route(made))["secret"] is None, "a secret is one adapter's"
    shown = (await made.team.owner.post(path(made, "/secret"))).text
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", unescape(shown))
    assert secret
    async with made.as_owner() as (connection, _):
        sealed, _ = await store.secret(connection, made.site_id)
    assert sealed is not None
    assert web.app._keyring.open(sealed, store.SECRET, made.site_id).decode() == secret[0]
    assert secret[0] not in (await made.team.owner.browser.get(path(made))).text
    await made.route("file", {"conversion_name": "Sealed Lead"})
    assert (await made.team.owner.post(path(made, "/secret"))).status_code == 422
    await made.route("file", {"conversion_name": "Sealed Lead", "pull": "daily"})
    assert "Shown this once" in unescape((await made.team.owner.post(path(made, "/secret"))).text)
    assert (await made.team.admin.browser.get(path(made))).text.count("/api/oci/pull/") == 1


async def test_nothing_is_changed_under_a_batch_that_is_under_way(made: LedgerWorld) -> None:
    await made.route()
    await made.seal("first")
    await made.queue()
    await made.claim()
    answer = await made.team.owner.post(path(made), adapter="file", **{"file.conversion_name": "Sealed Lead"})
    assert answer.status_code == 422
    assert "A batch is still under way" in unescape(answer.text)
    assert (await route(made))["adapter"] == "data_manager"


async def test_weights_are_set_with_the_values(made: LedgerWorld) -> None:
    values = f"{made.team.settings}/values"
    html = (await made.team.owner.browser.get(values)).text
    seen = re.search(r'name="seen" value="([^"]+)"', html)
    assert seen and 'id="weight_won" name="weight_won" inputmode="decimal" maxlength="20" value="100"' in html
    form = {"seen": seen[1], "conversion_time": "intent", "undo_minutes": "10"}
    weights = {"weight_none": "", "weight_contacted": "10", "weight_offered": "75,5", "weight_won": "1.250"}
    bad = await made.team.owner.post(values, **form, **weights | {"weight_won": "much"})
    assert bad.status_code == 422 and "A number such as 10 or 10.50, or nothing." in bad.text
    assert (await made.team.owner.post(values, **form, **weights)).status_code == 303
    config = await made.owner.fetchval("SELECT config FROM sites WHERE id = $1", made.site_id)
    assert config == {"stage_weights": {"none": None, "contacted": 10, "offered": "75.5", "won": 1250}}
    await made.seal("unknown", None)
    assert (await made.row("unknown"))["reason"] == "value_unknown"
    html = (await made.team.owner.browser.get(values)).text
    assert 'id="weight_offered" name="weight_offered" inputmode="decimal" maxlength="20" value="75.5"' in html
    # The usual ones again are no settings of the site's own.
    seen = re.search(r'name="seen" value="([^"]+)"', html)
    assert seen
    usual = {"weight_none": "10", "weight_contacted": "10", "weight_offered": "50", "weight_won": "100"}
    await made.team.owner.post(values, **form | {"seen": seen[1]}, **usual)
    assert await made.owner.fetchval("SELECT config FROM sites WHERE id = $1", made.site_id) == {}
