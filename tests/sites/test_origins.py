"""Origins as people write them, as browsers send them, and as a site's list covers them."""

from __future__ import annotations

from uuid import uuid4

import pytest

from opsmantik.errors import Unprocessable
from opsmantik.event import Site
from opsmantik.ingest.registry import around_star
from opsmantik.sites.origins import LONGEST, REASONS, Problem, read_origin

GOOD = {
    "as it is": ("https://www.example.com", "https://www.example.com"),
    "without a scheme": ("shop.example.com", "https://shop.example.com"),
    "with spaces around it": ("  https://example.com \n", "https://example.com"),
    "in capitals": ("HTTPS://Example.COM", "https://example.com"),
    "with a slash at its end": ("https://example.com/", "https://example.com"),
    "with a dot at its end": ("https://example.com.", "https://example.com"),
    "with the scheme's own port": ("https://example.com:443", "https://example.com"),
    "with the other's own port": ("http://example.com:80", "http://example.com"),
    "with a port": ("https://example.com:8443", "https://example.com:8443"),
    "with the wrong scheme's port": ("http://example.com:443", "http://example.com:443"),
    "in letters of its own": ("https://çiçek.example", "https://xn--iek-1lab.example"),
    "in letters of its own, in capitals": ("https://ÇIÇEK.example", "https://xn--iek-1lab.example"),
    "already in ASCII": ("https://xn--iek-1lab.example", "https://xn--iek-1lab.example"),
    "this machine": ("http://localhost:3000", "http://localhost:3000"),
    "an address": ("http://192.0.2.1:8080", "http://192.0.2.1:8080"),
    "an IPv6 address": ("http://[2001:DB8::0:1]:8080", "http://[2001:db8::1]:8080"),
    "nothing, by name": ("null", "null"),
    "nothing, in capitals": ("NULL", "null"),
    "a star": ("https://*.example.com", "https://*.example.com"),
    "a star with a port": ("*.example.com:8443", "https://*.example.com:8443"),
    "a star over a country's names": ("https://*.shop.com.tr", "https://*.shop.com.tr"),
    "an underscore, which some hosts have": ("https://my_shop.example.com", "https://my_shop.example.com"),
}


@pytest.mark.parametrize(("text", "origin"), GOOD.values(), ids=GOOD.keys())
def test_what_a_person_writes_becomes_what_a_browser_sends(text: str, origin: str) -> None:
    assert read_origin(text) == origin
    assert read_origin(origin) == origin


BAD = {
    "nothing": ("", Problem.EMPTY),
    "spaces": ("   ", Problem.EMPTY),
    "a novel": ("https://" + "a" * LONGEST, Problem.EMPTY),
    "another scheme": ("ftp://example.com", Problem.SCHEME),
    "an extension": ("chrome-extension://abcdef", Problem.SCHEME),
    "a path": ("https://example.com/contact", Problem.PATH),
    "two slashes": ("https://example.com//", Problem.PATH),
    "a query": ("https://example.com?x=1", Problem.PATH),
    "a fragment": ("https://example.com#top", Problem.PATH),
    "a backslash": ("https://example.com\\@evil.example", Problem.PATH),
    "credentials": ("https://user:pw@example.com", Problem.CREDENTIALS),
    "a user": ("user@example.com", Problem.CREDENTIALS),
    "no port behind a colon": ("https://example.com:", Problem.PORT),
    "port 0": ("https://example.com:0", Problem.PORT),
    "port 65536": ("https://example.com:65536", Problem.PORT),
    "a port in words": ("https://example.com:http", Problem.PORT),
    "no host": ("https://", Problem.HOST),
    "a space in it": ("https://exa mple.com", Problem.HOST),
    "an empty label": ("https://example..com", Problem.HOST),
    "a hyphen at the edge": ("https://-example.com", Problem.HOST),
    "a label that is too long": ("https://" + "a" * 64 + ".com", Problem.HOST),
    "half an address": ("https://192.0.2", Problem.HOST),
    "an address with a letter too many": ("https://999.0.2.1", Problem.HOST),
    "a broken IPv6 address": ("http://[::1", Problem.HOST),
    "an IPv6 address that is none": ("http://[::g]", Problem.HOST),
    "a NUL": ("https://exa\x00mple.com", Problem.HOST),
    "a star within": ("https://www.*.example.com", Problem.STAR),
    "half a star": ("https://a*.example.com", Problem.STAR),
    "two stars": ("https://*.*.example.com", Problem.STAR),
    "a star over addresses": ("https://*.0.2.1", Problem.STAR),
    "a star over four numbers": ("https://*.192.0.2.1", Problem.STAR),
    "a star alone": ("https://*", Problem.STAR),
    "a star over a country or .com": ("https://*.com", Problem.WIDE),
    "a star over com.tr": ("https://*.com.tr", Problem.WIDE),
    "a star over co.uk": ("*.co.uk", Problem.WIDE),
}


@pytest.mark.parametrize(("text", "problem"), BAD.values(), ids=BAD.keys())
def test_what_is_no_origin_is_refused_with_the_reason(text: str, problem: Problem) -> None:
    with pytest.raises(Unprocessable) as refused:
        read_origin(text)
    assert refused.value.details["problem"] == problem
    assert REASONS[problem] in refused.value.message


def site(*origins: str) -> Site:
    return Site(
        uuid4(), "0" * 32, "example.com", "Europe/Istanbul", "TR", "TRY", "implied", 90, False,
        frozenset(origin for origin in origins if "*" not in origin),
        tuple(around_star(origin) for origin in origins if "*" in origin),
    )  # fmt: skip


# The list, an origin, and the entry that it falls under.
STAR = "https://*.example.com"
COVERED = {
    "itself": (["https://example.com"], "https://example.com", "https://example.com"),
    "another scheme": (["https://example.com"], "http://example.com", None),
    "another port": (["https://example.com"], "https://example.com:8443", None),
    "a name below, without a star": (["https://example.com"], "https://www.example.com", None),
    "a name below": ([STAR], "https://www.example.com", STAR),
    "a name far below": ([STAR], "https://a.b-c.d.example.com", STAR),
    "not the name itself": ([STAR], "https://example.com", None),
    "not an empty name": ([STAR], "https://.example.com", None),
    "not another scheme": ([STAR], "http://www.example.com", None),
    "not another port": ([STAR], "https://www.example.com:8443", None),
    "not a name that ends alike": ([STAR], "https://wwwexample.com", None),
    "not a stranger's name in front": ([STAR], "https://evil.example/.example.com", None),
    "not credentials": ([STAR], "https://evil@www.example.com", None),
    "not a star": ([STAR], "https://*.example.com", None),
    "a port with a star": (["https://*.example.com:8443"], "https://www.example.com:8443", "https://*.example.com:8443"),
    "the exact one first": ([STAR, "https://www.example.com"], "https://www.example.com", "https://www.example.com"),
    "null is not a star's": ([STAR], "null", None),
    "null by name": (["null"], "null", "null"),
    "nobody": ([], "https://example.com", None),
}  # fmt: skip


@pytest.mark.parametrize(("listed", "origin", "entry"), COVERED.values(), ids=COVERED.keys())
def test_what_a_list_covers(listed: list[str], origin: str, entry: str | None) -> None:
    assert site(*listed).origin_entry(origin) == entry
    assert site(*listed).admits(origin) == (entry is not None)
