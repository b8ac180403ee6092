"""A page of the ledger costs the rows that it shows, by either kind of plan, whatever the ledger holds."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from opsmantik.dashboard.cards.ledger import SQL, STATES
from opsmantik.dashboard.paging import FIRST_PAGE
from tests.plans import readings

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("LEDGER_ROWS", "30000"))
# Fifty rows with their leads, by two looks into an index each; many times that would be a scan.
MOST_BUFFERS = 700
NOW = datetime.now(UTC)
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
    # One in a thousand failed; one in five was never sent.
    await owner.execute(
        """
        INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency,
            click_id, click_id_kind, consent, consent_at, created_at)
        SELECT $1::uuid, md5($1::uuid || 'v' || n)::uuid, md5($1::uuid || 'c' || n)::uuid, 'om-' || n,
            CASE WHEN n % 1000 = 0 THEN 'failed' WHEN n % 5 = 0 THEN 'skipped' ELSE 'accepted' END,
            CASE WHEN n % 1000 = 0 THEN 'expired_event' WHEN n % 5 = 0 THEN 'no_click_id' END,
            t, t, 10, 'TRY', 'g', 'gclid', 'granted', t, t
        FROM (SELECT n, now() - n * interval '2 minutes' + interval '1 hour' AS t FROM generate_series(1, $2::integer) n) x
        """,
        site, rows,
    )  # fmt: skip
    await owner.execute("ANALYZE calls")
    await owner.execute("ANALYZE conversions")
    return UUID(str(site))


PAGES: dict[str, tuple[str, list[Any]]] = {
    "all of it": ("ledger", [list(STATES), *FIRST_PAGE, 51, None, None]),
    "a rare state": ("ledger", [["failed"], *FIRST_PAGE, 51, None, None]),
    "a common state, far back": ("ledger", [["accepted"], NOW - timedelta(days=30), FIRST_PAGE.id, 51, None, None]),
    "a rare reason": ("ledger_reason", [list(STATES), *FIRST_PAGE, 51, "expired_event", None]),
    "a day of decisions": ("ledger_decided", [list(STATES), *FIRST_PAGE, 51, None, None, *DAY]),
    "a day of leads": ("ledger_captured", [list(STATES), *FIRST_PAGE, 51, None, None, *DAY]),
    "an order id": ("ledger_named", [list(STATES), *FIRST_PAGE, 51, None, None, "om-777", None]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "given"), PAGES.values(), ids=PAGES.keys())
async def test_a_page_costs_its_rows(owner: Any, large: UUID, name: str, given: list[Any]) -> None:
    async with owner.transaction():
        await owner.execute("SET LOCAL app.maintenance = 'on'")
        for kind, found in (await readings(owner, getattr(SQL, name), large, *given)).items():
            assert found.buffers <= MOST_BUFFERS, (kind, found.buffers, found.milliseconds, found.plan)
