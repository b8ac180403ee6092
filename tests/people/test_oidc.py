"""Which providers are set, and what is said where a part of one is missing."""

from __future__ import annotations

import pytest

from opsmantik.errors import SettingsError
from opsmantik.people.oidc import GOOGLE_ISSUER, configured
from opsmantik.settings import Settings

GOOGLE = {"google_client_id": "g", "google_client_secret": "g-secret"}
OWN = {"oidc_issuer": "https://login.example", "oidc_client_id": "o", "oidc_client_secret": "o-secret"}
SET = {
    "none": ({}, []),
    "Google": (GOOGLE, [("google", "Google", GOOGLE_ISSUER)]),
    "another": (OWN, [("oidc", "OpenID Connect", "https://login.example")]),
    "another by its name": (OWN | {"oidc_name": "Login"}, [("oidc", "Login", "https://login.example")]),
    "a name alone is none": ({"oidc_name": "Login"}, []),
    "both": (
        GOOGLE | OWN,
        [("google", "Google", GOOGLE_ISSUER), ("oidc", "OpenID Connect", "https://login.example")],
    ),
}
MISSING = {
    "Google's secret": ({"google_client_id": "g"}, "OPSMANTIK_GOOGLE_CLIENT_SECRET"),
    "Google's client": ({"google_client_secret": "g"}, "OPSMANTIK_GOOGLE_CLIENT_ID"),
    "the issuer": ({"oidc_client_id": "o", "oidc_client_secret": "s"}, "OPSMANTIK_OIDC_ISSUER"),
    "the other's secret": (
        {"oidc_issuer": "https://h", "oidc_client_id": "o"},
        "OPSMANTIK_OIDC_CLIENT_SECRET",
    ),
}


@pytest.mark.parametrize(("fields", "found"), SET.values(), ids=SET.keys())
def test_the_providers_that_are_set(fields: dict[str, str], found: list[tuple[str, str, str]]) -> None:
    assert [(p.key, p.name, p.issuer) for p in configured(Settings(**fields))] == found


@pytest.mark.parametrize(("fields", "variable"), MISSING.values(), ids=MISSING.keys())
def test_a_part_that_is_missing_is_named(fields: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        configured(Settings(**fields))


def test_a_provider_does_not_show_its_secret() -> None:
    assert "secret" not in repr(configured(Settings(**GOOGLE, **OWN)))
