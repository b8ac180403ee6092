"""A page of the ledger costs the rows that it shows, by either kind of plan, whatever the ledger holds."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from opsmantik.dashboard.cards.ledger import FEW, KINDS, SQL, STATES
from opsmantik.dashboard.paging import FIRST_PAGE
from opsmantik.db.connect import Database
from tests.plans import readings

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("LEDGER_ROWS", "30000"))
# Fifty rows with their leads, by two looks into an index each; many times that would be a scan.
MOST_BUFFERS = 700
NOW = datetime.now(UTC)
MONTH = (NOW - timedelta(days=30), NOW)
DAY = (NOW - timedelta(days=31), NOW - timedelta(days=30))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def large(owner: Any) -> UUID:
    return await _large(owner, ROWS)


async def _large(owner: Any, rows: int) -> UUID:
    user, site = await owner.fetchrow("SELECT gen_random_uuid(), gen_random_uuid()")
    await owner.execute("INSERT INTO users (id, email) VALUES ($1, $2)", user, f"{user.hex}@example.com")
    await owner.execute(
        "INSERT INTO sites (id, user_id, public_id, name, domain) VALUES ($1, $2, $3, 'Large', 'large.example')",
        site, user, site.hex,
    )  # fmt: skip
    await owner.execute(
        """
        INSERT INTO calls (site_id, id, created_at, updated_at, occurred_at, confirmed_at, status, source, intent_stamp,
            currency)
        SELECT $1::uuid, md5($1::uuid || 'c' || n)::uuid, t, t, t, t + interval '1 hour', 'sealed', 'api', NULL, 'TRY'
        FROM (SELECT n, now() - n * interval '2 minutes' AS t FROM generate_series(1, $2::integer) n) x
        """,
        site, rows,
    )  # fmt: skip
    # One in a thousand failed; one in five was never sent and one in a hundred has no click.
    await owner.execute(
        """
        INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency,
            click_id, click_id_kind, consent, consent_at, created_at)
        SELECT $1::uuid, md5($1::uuid || 'v' || n)::uuid, md5($1::uuid || 'c' || n)::uuid, 'om-' || n,
            CASE WHEN n % 1000 = 0 THEN 'failed' WHEN n % 5 = 0 THEN 'skipped' ELSE 'accepted' END,
            CASE WHEN n % 1000 = 0 THEN 'expired_event' WHEN n % 5 = 0 THEN 'no_click_id' END,
            t, t, 10, 'TRY', CASE WHEN n % 100 <> 15 THEN 'g' END,
            CASE WHEN n % 500 = 5 THEN 'gbraid' WHEN n % 100 <> 15 THEN 'gclid' END, 'granted', t, t
        FROM (SELECT n, now() - n * interval '2 minutes' + interval '1 hour' AS t FROM generate_series(1, $2::integer) n) x
        """,
        site, rows,
    )  # fmt: skip
    await owner.execute("VACUUM (ANALYZE) calls")
    await owner.execute("VACUUM (ANALYZE) conversions")
    return UUID(str(site))


ALL: list[Any] = [list(STATES), *FIRST_PAGE, 51, list(KINDS)]
PAGES: dict[str, tuple[str, list[Any]]] = {
    "all of it": ("ledger", ALL),
    "a rare state": ("ledger", [["failed"], *FIRST_PAGE, 51, list(KINDS)]),
    "a common state, far back": ("ledger", [["accepted"], NOW - timedelta(days=30), FIRST_PAGE.id, 51, list(KINDS)]),
    "a rare kind": ("ledger", [*ALL[:-1], ["gbraid"]]),
    "without a click": ("ledger", [*ALL[:-1], ["none"]]),
    "a kind that a state does not have": ("ledger", [["failed"], *FIRST_PAGE, 51, ["wbraid"]]),
    "a rare reason": ("ledger_reason", [*ALL, "expired_event"]),
    "a reason of another state": ("ledger_reason", [["accepted"], *FIRST_PAGE, 51, list(KINDS), "no_click_id"]),
    "a rare reason and kind": ("ledger_reason", [*ALL[:-1], ["gbraid"], "no_click_id"]),
    "an order id": ("ledger_named", [*ALL, None, "om-777", None]),
}  # fmt: skip
# Those that know the moments of leads alone, by a few looks for each row that the filter leaves of all times.
RANGES: dict[str, tuple[str, list[Any], int]] = {
    "a day of decisions": ("ledger_decided", [*ALL, None, *DAY, 100], MOST_BUFFERS + 100),
    "a day of leads": ("ledger_captured", [*ALL, None, *DAY, 100], MOST_BUFFERS + 100),
    "a month of a rare state": ("ledger_decided", [["failed"], *ALL[1:], None, *MONTH, FEW], 0),
    "a month of leads of a rare state": ("ledger_captured", [["failed"], *ALL[1:], None, *MONTH, FEW], 0),
    "a month of a rare reason": ("ledger_decided_reason", [*ALL, "expired_event", *MONTH, FEW], 0),
    "a month of leads of a rare reason": ("ledger_captured_reason", [*ALL, "expired_event", *MONTH, FEW], 0),
    "a month of a state that is not there": ("ledger_decided", [["held"], *ALL[1:], None, *MONTH, FEW], 60),
}  # fmt: skip


@pytest.mark.parametrize(("name", "given"), PAGES.values(), ids=PAGES.keys())
async def test_a_page_costs_its_rows(
    app_database: Database, large: UUID, name: str, given: list[Any]
) -> None:
    await _costs(app_database, large, name, given, MOST_BUFFERS)


@pytest.mark.parametrize(("name", "given", "most"), RANGES.values(), ids=RANGES.keys())
async def test_a_range_costs_its_rows(
    app_database: Database, large: UUID, name: str, given: list[Any], most: int
) -> None:
    # A look at each of the failed, whenever that was, and a page.
    await _costs(app_database, large, name, given, most or MOST_BUFFERS + ROWS // 1000 * 6)


async def test_days_cost_their_rows_and_no_look_at_each(app_database: Database, large: UUID) -> None:
    rows = 5 * 24 * 30
    await _costs(
        app_database,
        large,
        "ledger_parity",
        [NOW - timedelta(days=6), NOW - timedelta(days=1), "UTC"],
        rows * 3,
    )


async def test_all_of_a_list_costs_what_is_taken(app_database: Database, large: UUID) -> None:
    for name, reason in (("ledger_ids", None), ("ledger_ids_reason", "no_click_id")):
        await _costs(app_database, large, name, [list(STATES), list(KINDS), reason, 1000], 700)


async def _costs(database: Database, site: UUID, name: str, given: list[Any], most: int) -> None:
    # As whoever may see that site: row security lets no index be used by an expression that it does not trust.
    async with database.as_sites([site]) as connection:
        for kind, found in (await readings(connection, getattr(SQL, name), site, *given)).items():
            assert found.buffers <= most, (kind, found.buffers, found.milliseconds, found.plan)
