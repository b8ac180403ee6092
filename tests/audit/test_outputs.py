"""A report as it is written: what stands, what is accepted and until when, in every form."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from opsmantik.audit import outputs, store
from opsmantik.audit.findings import Accepted, Baseline, Finding, Report, Result, accept, read_baseline
from opsmantik.errors import Unprocessable

TODAY = date(2026, 11, 22)


def finding(name: str, what: str, level: str = "error") -> Finding:
    return Finding(
        name=name, level=level, object=what, detail="A | B", figure=1234.0, remedy="Mend <it>.",  # type: ignore[arg-type]
        cache_key=f"{name} {what}",
    )  # fmt: skip


def result(name: str, *findings: Finding, outcome: str = "", reason: str | None = None) -> Result:
    return Result(
        stem=f"0001_{name}", name=name, title="Things are right.", group="integrity", level="error",
        outcome=outcome or ("found" if findings else "clean"), seconds=0.01, findings=findings, reason=reason,  # type: ignore[arg-type]
    )  # fmt: skip


def report(*results: Result, **more: object) -> Report:
    return Report(
        program="1", database="leads", server="18.6", started_at=datetime(2026, 11, 22, tzinfo=UTC), seconds=1.5,
        results=results, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def accepted(check: str, what: str = "*", until: date = TODAY) -> Accepted:
    return Accepted(check=check, object=what, reason="It is known.", until=until)


def test_what_is_accepted_is_marked_until_its_day_is_over() -> None:
    baseline = Baseline((
        accepted("a", "public.one"), accepted("b", until=date(2026, 11, 21)), accepted("c"), accepted("not_asked"),
    ))  # fmt: skip
    given = [
        result("a", finding("a", "public.one"), finding("a", "public.two")),
        result("b", finding("b", "x")),
        result("c"),
    ]
    found, expired, unused = accept(given, baseline, TODAY)
    marked = report(*found, expired=expired, unused=unused)
    assert [f.accepted for f in marked.results[0].findings] == ["It is known.", None]
    assert marked.results[1].findings[0].accepted is None
    assert marked.count("error") == 2
    assert marked.expired == ["b * (until 2026-11-21: It is known.)"]
    assert marked.unused == ["c * (until 2026-11-22: It is known.)"]
    assert marked.keys() == {"a public.two", "b x"}


def test_a_star_stands_for_any_part_of_a_name() -> None:
    found, _, _ = accept(
        [result("a", finding("a", "parts.events_2026_01"))], Baseline((accepted("a", "parts.*"),)), TODAY
    )
    assert not report(*found).fails("warn")


@pytest.mark.parametrize(
    "text",
    ["accepted = 1", '[[accepted]]\ncheck = "a"\n', "[[accepted]\n",
     '[[accepted]]\ncheck = "a"\nreason = "b"\nuntil = 2026-11-22\nuntill = 1\n'],
    ids=["not a list", "no reason", "no TOML", "misspelt"],
)  # fmt: skip
def test_a_baseline_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text(text)
    with pytest.raises(Unprocessable, match="baseline"):
        read_baseline(path)


def test_a_baseline_is_read(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text('[[accepted]]\ncheck = "a"\nreason = "It is known."\nuntil = 2026-11-22\n')
    assert read_baseline(path).accepted == (accepted("a"),)


@pytest.mark.parametrize(
    ("level", "on_error", "on_warn"), [("error", True, True), ("warn", False, True), ("info", False, False)]
)
def test_what_makes_it_fail(level: str, on_error: bool, on_warn: bool) -> None:
    found = report(result("a", finding("a", "x", level)))
    assert (found.fails("error"), found.fails("warn")) == (on_error, on_warn)


def test_what_could_not_be_asked_makes_it_fail() -> None:
    assert report(result("a", outcome="unknown", reason="It took too long.")).fails("error")
    assert not report(result("a", outcome="not_applicable", reason="There is none.")).fails("warn")


FULL = report(
    result("a", finding("a", "public.one"), finding("a", "public.two", "warn")),
    result("b", finding("b", "public.three", "info")),
    result("c", outcome="unknown", reason="It took too long."),
    expired=["d * (until 2026-01-01: known)"],
)


def test_json_can_be_read_back() -> None:
    import msgspec

    text = outputs.as_json(FULL)
    assert msgspec.json.decode(text, type=Report) == msgspec.convert(msgspec.to_builtins(FULL), Report)
    assert json.loads(text)["counts"] == {
        "error": 1, "warn": 1, "info": 1, "accepted": 0, "checks": 3, "clean": 0, "unknown": 1, "not_applicable": 0,
    }  # fmt: skip


def test_markdown_keeps_its_columns() -> None:
    text = outputs.as_markdown(FULL)
    assert "| error | 0001_a | `public.one` | A \\| B | 1,234 | Mend <it>. |" in text
    assert "**errors: 1, warnings: 1**" in text
    assert "| 0001_c | Things are right. | unknown: It took too long. | 0.01 |" in text
    assert "- d * (until 2026-01-01: known)" in text


def test_a_page_asks_nothing_of_anybody_and_escapes() -> None:
    text = outputs.as_html(FULL)
    assert "Mend &lt;it&gt;." in text and "<it>" not in text
    assert "://" not in text.replace("http://www.w3.org", "")
    assert text.count('<section id="0001_') == 3


def test_sarif_names_its_rules_and_suppresses_what_is_accepted() -> None:
    found, _, _ = accept(FULL.results, Baseline((accepted("a", "public.two"),)), TODAY)
    document = json.loads(outputs.as_sarif(report(*found)))
    (made,) = document["runs"]
    assert document["version"] == "2.1.0"
    assert [rule["id"] for rule in made["tool"]["driver"]["rules"]] == ["a", "b", "c"]
    assert [(r["ruleId"], r["level"], r["ruleIndex"], "suppressions" in r) for r in made["results"]] == [
        ("a", "error", 0, False), ("a", "warning", 0, True),
    ]  # fmt: skip
    assert made["invocations"][0]["executionSuccessful"] is False


def test_a_run_is_compared_with_the_one_before() -> None:
    before = report(result("a", finding("a", "one"), finding("a", "two")), result("b", finding("b", "one")))
    after = report(
        result("a", finding("a", "two"), finding("a", "three")), result("b", outcome="unknown", reason="slow")
    )
    changed = store.change(before, after)
    assert (changed.new, changed.gone) == ({"a three"}, {"a one"})
