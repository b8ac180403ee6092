"""Consent: what is kept and sent without it, with it, and after it was taken back."""

from __future__ import annotations

import pytest

from tests.tracker.double import CALL, SITE, Case, eventually, quiet
from tests.tracker.visitor import Visitor

pytestmark = pytest.mark.browser


def consent_page(case: Case, body: str = CALL, path: str = "") -> str:
    return case.page(
        body, path=path, attributes=f'data-site-id="{SITE}" data-api="{case.api}" data-consent="required"'
    )


async def test_where_consent_is_required_nothing_is_kept_or_sent_without_it(
    case: Case, visitor: Visitor
) -> None:
    page = await visitor.open(
        consent_page(case, '<form id=f><input name=a></form><p style="height:5000px">') + "?gclid=First"
    )
    await page.mouse.wheel(0, 4000)
    await page.focus("input")
    await page.evaluate("opsmantik.send('custom', 'note'); opsmantik.session()")
    await page.evaluate("f.onsubmit = () => false; f.requestSubmit()")
    await page.reload()
    await quiet(case)
    assert case.posts == []
    assert await visitor.storage(page) == {}


async def test_without_consent_a_call_is_sent_but_says_nothing_about_the_caller(
    case: Case, visitor: Visitor
) -> None:
    url = consent_page(case)
    page = await visitor.open(url + "?gclid=Secret&utm_source=google&utm_id=77&name=Ay%C5%9Fe#part")
    await page.click("#call")
    await eventually(lambda: case.acts("phone_call"))
    await page.close()
    page = await visitor.open(url)
    await page.click("#call")
    await eventually(lambda: len(case.acts("phone_call")) == 2)
    first, second = case.acts("phone_call")
    assert first.keys() == {"id", "ts", "sid", "cat", "act", "label", "url", "consent"}
    assert first["url"] == url + "?utm_source=google"
    assert first["consent"] == {"analytics": False, "marketing": False}
    assert first["sid"] != second["sid"]  # known for as long as one page, by nothing on the device
    assert await visitor.storage(page) == {}


async def test_consent_begins_the_visit_and_is_remembered(case: Case, visitor: Visitor) -> None:
    two = consent_page(case, path="two")
    page = await visitor.open(consent_page(case) + "?gclid=First")
    await page.click("#call")
    await page.evaluate("opsmantik.consent({ analytics: true, marketing: true })")
    await eventually(lambda: case.acts("view"))
    (view,) = case.acts("view")
    assert view["consent"] == {"analytics": True, "marketing": True}
    assert (view["click"]["gclid"], view["sid"]) == ("First", case.acts("phone_call")[0]["sid"])
    await page.goto(two)
    await eventually(lambda: len(case.acts("view")) == 2)
    assert case.acts("view")[1]["consent"] == {"analytics": True, "marketing": True}
    assert case.acts("view")[1]["vid"] == view["vid"]


async def test_consent_may_come_before_the_script(case: Case, visitor: Visitor) -> None:
    head = """<script>
      window.opsmantik = function () { (opsmantik.q = opsmantik.q || []).push(arguments) };
      opsmantik("consent", { analytics: true });
    </script>"""
    attributes = f'data-site-id="{SITE}" data-api="{case.api}" data-consent="required"'
    page = await visitor.open(case.page(head=head, attributes=attributes) + "?gclid=First")
    await eventually(lambda: case.acts("view"))
    view = case.acts("view")[0]
    # Measuring was allowed, advertising was not: the ad click is not remembered.
    assert view["consent"] == {"analytics": True, "marketing": False}
    assert "click" not in view
    assert "opsmantik_click" not in await visitor.storage(page)


@pytest.mark.parametrize("required", [True, False])
async def test_taking_consent_back_wipes_the_device(case: Case, visitor: Visitor, required: bool) -> None:
    url = consent_page(case) if required else case.page(CALL)
    page = await visitor.open(url + "?gclid=First")
    await page.evaluate(
        "localStorage.shop = 'theirs'; opsmantik.consent({ analytics: true, marketing: true })"
    )
    await eventually(lambda: case.acts("view"))
    await page.evaluate("opsmantik.consent({ analytics: false })")
    kept = await visitor.storage(page)
    assert kept.pop("shop") == "theirs"
    # Where silence means yes, the no itself must be kept, or the next page would ask nobody and begin again.
    assert kept == ({} if required else {"opsmantik_consent": '{"analytics":false,"marketing":false}'})
    heard = len(case.stored)
    await page.reload()
    await page.click("#call")
    await eventually(lambda: case.acts("phone_call"))
    await quiet(case)
    assert [event["act"] for event in case.stored[heard:]] == ["phone_call"]
    assert "vid" not in case.stored[-1]


async def test_where_nobody_asked_no_consent_is_claimed(case: Case, visitor: Visitor) -> None:
    await visitor.open(case.page())
    await eventually(lambda: case.acts("view"))
    assert "consent" not in case.acts("view")[0]
