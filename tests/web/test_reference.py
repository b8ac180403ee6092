"""The description of the interface: whole, true to the doors, and readable without anything from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from opsmantik.dashboard.contracts import CONTRACTS, PROCEDURES
from opsmantik.web import legacy, rpc
from opsmantik.web.openapi import document
from opsmantik.web.procedures import TOOLS

DOCUMENT = document()
METHODS = {"get", "post", "put", "patch", "delete"}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere_and_every_type_is_referred_to() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    used = set(references(DOCUMENT))
    assert used - known == set()
    assert known - used == set()


def test_every_address_of_the_api_is_described_and_no_other(web: Any) -> None:
    served = set()
    for route in web.app._framework.routes:
        path = re.sub(r"\{([a-z_]+):[a-z]+\}", r"{\1}", route.path).replace("{site_name}", "{site}")
        if path.startswith("/api/") and path not in ("/api/docs", "/api/openapi.json"):
            served |= {
                (path, method.lower()) for handler in route.route_handlers for method in handler.http_methods
            }
    served = {pair for pair in served if pair[1] in METHODS and pair[0] != "/api/rpc/{name}"}
    served |= {(f"/api/rpc/{name}", "post") for name in {**PROCEDURES, **TOOLS}}
    described = {
        (path, method)
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if path.startswith("/api/")
        and path not in ("/api/sync", "/api/call-event", "/api/call-event/v2")  # the doors for events
    }
    assert described == served
    assert rpc.HANDLERS and legacy.HANDLERS


def test_every_operation_has_a_name_of_its_own_a_summary_and_answers() -> None:
    operations = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(operation["summary"] and operation["responses"] for operation in operations)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_a_contract_is_described_with_its_parameters_and_definitions(contract: Any) -> None:
    operation = DOCUMENT["paths"][f"/api/v1/sites/{{site}}/{contract.path}"]["get"]
    names = [parameter["name"] for parameter in operation["parameters"]]
    assert len(names) == len(set(names))
    assert {p.name for p in contract.parameters} <= set(names)
    assert ({"day", "range", "from", "to"} <= set(names)) == contract.ranged
    assert ("304" in operation["responses"]) == contract.timeless
    for words in contract.definitions.values():
        assert words in operation["description"]


def test_amounts_are_described_as_they_are_sent() -> None:
    assert not [schema for schema in DOCUMENT["components"]["schemas"].values() if '"decimal"' in str(schema)]
    amount = DOCUMENT["components"]["schemas"]["Intent"]["properties"]["sale_amount"]
    assert {"type": "number"} in amount["anyOf"]


async def test_the_document_is_served_to_anybody(web: Any) -> None:
    answer = await web.browser().get("/api/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == DOCUMENT


@pytest.mark.parametrize("language", ["en", "tr"])
async def test_the_page_shows_every_operation_and_type(web: Any, language: str) -> None:
    answer = await web.browser().http.get("/api/docs", headers={"accept-language": language})
    assert answer.status_code == 200
    html = answer.text
    assert f'<html lang="{language}"' in html
    for path, methods in DOCUMENT["paths"].items():
        assert path.replace("'", "&#39;") in html
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in html
    for name in DOCUMENT["components"]["schemas"]:
        assert f'id="type-{name}"' in html


async def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(web: Any) -> None:
    html = (await web.browser().get("/api/docs")).text
    assert "<script" not in html and "<style" not in html
    assert not re.search(r"""\s(?:on[a-z]+|style)\s*=""", html)
    assert not re.findall(r"""(?:src|href)="(?!/|#)""", html)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)
