"""The list of what is inside is what the lock says, and CycloneDX's own schema takes it."""

from __future__ import annotations

import importlib.util
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.test_dependencies import check

HERE = Path(__file__).parents[1] / "requirements"
_spec = importlib.util.spec_from_file_location("sbom", HERE / "sbom.py")
assert _spec is not None and _spec.loader is not None
sbom: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sbom)


def test_the_kept_list_is_what_the_lock_says() -> None:
    assert (HERE / "sbom.cdx.json").read_text() == sbom.text(), "run `make sbom`"


def test_every_package_of_the_lock_is_in_it_with_its_version_hashes_and_licence() -> None:
    listed = {one["name"]: one for one in sbom.bill()["components"]}
    pins = {pin.name: pin for pin in check.pins(HERE / "run.txt")}
    assert listed.keys() == pins.keys()
    for name, pin in pins.items():
        assert listed[name]["version"] == pin.version
        assert len(listed[name]["externalReferences"][0]["hashes"]) == pin.hashes, name
        assert listed[name]["licenses"], name


def test_what_pyproject_names_is_what_the_program_depends_on() -> None:
    import tomllib

    named = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = {check.normal(check.re.split(r"[<>=;\[ ]", one)[0]) for one in named}
    top = sbom.bill()["dependencies"][0]
    assert {ref.partition("/")[2].partition("@")[0] for ref in top["dependsOn"]} == wanted


def schema() -> Any:
    kept = files("cyclonedx.schema._res")
    parts = {
        name: json.loads((kept / f"{name}.SNAPSHOT.schema.json").read_text())
        for name in ("bom-1.6", "spdx", "jsf-0.82", "cryptography-defs")
    }
    beside = [
        (f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", part) for name, part in parts.items()
    ]
    return jsonschema_rs.Draft7Validator(parts["bom-1.6"], registry=jsonschema_rs.Registry(beside))


def test_the_schema_of_cyclonedx_takes_it_and_refuses_it_with_a_fault() -> None:
    valid, bill = schema(), sbom.bill()
    assert [str(e.message) for e in valid.iter_errors(bill)] == []
    bill["components"][0]["licenses"] = [{"license": {"id": "No-Such-Licence"}}]
    assert not valid.is_valid(bill)


@pytest.mark.parametrize(
    ("licence", "as_written"),
    [
        ("MIT", {"license": {"id": "MIT"}}),
        ("BSD", {"license": {"name": "BSD"}}),
        ("MIT OR Apache-2.0", {"expression": "MIT OR Apache-2.0"}),
        ("a licence of their own", {"license": {"name": "a licence of their own"}}),
    ],
)
def test_a_licence_is_an_identifier_an_expression_or_a_name(licence: str, as_written: dict[str, Any]) -> None:
    assert sbom.said(licence) == as_written
