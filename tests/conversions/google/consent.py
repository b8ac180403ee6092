"""Google's consent page: what it refuses before it asks anybody, and where it sends them afterwards.

https://developers.google.com/identity/protocols/oauth2/web-server; PKCE by RFC 7636.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.conversions.google.tokens import ADWORDS, DATA_MANAGER, Tokens

KNOWN = {
    "client_id", "redirect_uri", "response_type", "scope", "state", "access_type", "prompt", "code_challenge",
    "code_challenge_method", "include_granted_scopes", "login_hint",
}  # fmt: skip
NEEDED = KNOWN - {"include_granted_scopes", "login_hint"}


def asked(address: str) -> dict[str, str]:
    """What the page is asked for; an address that it would refuse fails the test."""
    pairs = parse_qsl(urlsplit(address).query, keep_blank_values=True, strict_parsing=True)
    query = dict(pairs)
    assert len(query) == len(pairs), "a parameter came twice"
    assert query.keys() >= NEEDED and query.keys() <= KNOWN, sorted(query.keys() ^ NEEDED)
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
    assert set(query["scope"].split()) <= {ADWORDS, DATA_MANAGER}
    return query


def agree(tokens: Tokens, address: str, *, untick: tuple[str, ...] = ()) -> str:
    """Somebody presses "Continue", with some boxes unticked: where they are sent."""
    query = asked(address)
    assert query["client_id"] == tokens.client_id
    scopes = [scope for scope in query["scope"].split() if scope not in untick]
    code = tokens.code(query["code_challenge"], query["redirect_uri"], *scopes)
    answer = {"state": query["state"], "code": code, "scope": " ".join(scopes)}
    return f"{query['redirect_uri']}?{urlencode(answer)}"


def decline(address: str) -> str:
    """They press "Cancel"."""
    query = asked(address)
    return f"{query['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': query['state']})}"
