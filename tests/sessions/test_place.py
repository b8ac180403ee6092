"""Where a visitor is, by whose word, and which address is believed."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmantik.sessions.place import (
    Place,
    PlaceDatabase,
    _place_of_record,
    client_ip,
    place_from_headers,
    truncate_ip,
)

CLOUDFLARE = {b"cf-ipcountry": b"TR", b"cf-region": b"Izmir", b"cf-ipcity": "İzmir".encode()}
VERCEL = {
    b"x-vercel-ip-country": b"TR",
    b"x-vercel-ip-country-region": b"35",
    b"x-vercel-ip-city": b"%C4%B0zmir%20Merkez",
}
SPOOFED = {b"x-city": b"Ankara", b"x-country": b"TR", b"x-forwarded-for": b"8.8.8.8"}

EDGES = {
    "cloudflare": (CLOUDFLARE, "cloudflare", Place("TR", "Izmir", "İzmir", None, "cloudflare")),
    "vercel encodes": (VERCEL, "vercel", Place("TR", "35", "İzmir Merkez", None, "vercel")),
    "country only": ({b"cf-ipcountry": b"de"}, "cloudflare", Place("DE", None, None, None, "cloudflare")),
    "city in the older encoding": (
        {b"cf-ipcountry": b"CO", b"cf-ipcity": b"Ch\xeda"},
        "cloudflare",
        Place("CO", None, "Chía", None, "cloudflare"),
    ),
    "Tor": ({b"cf-ipcountry": b"T1"}, "cloudflare", None),
    "unknown": ({b"cf-ipcountry": b"XX", b"cf-ipcity": b"Unknown"}, "cloudflare", None),
    "not a country": ({b"cf-ipcountry": b"<b>"}, "cloudflare", None),
    "no edge": (CLOUDFLARE | VERCEL, "none", None),
    "another edge's headers": (VERCEL, "cloudflare", None),
    "headers that a browser wrote": (SPOOFED, "cloudflare", None),
    "unheard-of edge": (CLOUDFLARE, "acme", None),
}


@pytest.mark.parametrize(("headers", "provider", "place"), EDGES.values(), ids=EDGES.keys())
def test_a_place_comes_only_from_the_configured_edge(headers, provider, place):
    assert place_from_headers(headers, provider) == place


@given(
    st.dictionaries(st.sampled_from([*CLOUDFLARE, *VERCEL]), st.binary()),
    st.sampled_from(["cloudflare", "vercel"]),
)
def test_no_header_bytes_raise_and_no_name_holds_control_characters(headers, provider):
    place = place_from_headers(headers, provider)
    if place is not None:
        assert all(c.isprintable() for c in (place.city or "") + (place.region or ""))


def test_the_country_list_knows_public_addresses_and_no_others():
    database = PlaceDatabase()
    assert database.look_up("8.8.8.8") == Place("US", None, None, None, "iptocc")
    assert database.look_up("::ffff:8.8.8.8") == database.look_up("8.8.8.8")
    for ip in ("10.0.0.1", "127.0.0.1", "::1", "nonsense", "", "8.8.8.8.8"):
        assert database.look_up(ip) is None
    database.close()


def test_a_missing_database_file_is_an_error_at_once():
    with pytest.raises(FileNotFoundError):
        PlaceDatabase(Path("no-such-file.mmdb"))


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (
            {
                "country": {"iso_code": "TR"},
                "city": {"names": {"en": "Bursa"}},
                "subdivisions": [{"names": {"en": "Bursa"}}],
            },
            Place("TR", "Bursa", "Bursa", None, "database"),
        ),
        (
            {"country_code": "TR", "city": "Bursa", "state1": "Bursa"},
            Place("TR", "Bursa", "Bursa", None, "database"),
        ),
        ({"country": {"iso_code": "TR"}}, Place("TR", None, None, None, "database")),
        ({"country": "TR", "city": 7, "subdivisions": {}}, None),
        ({}, None),
    ],
)
def test_both_shapes_of_city_files_are_read(record, place):
    assert _place_of_record(record) == place


CUT = {
    "203.0.113.77": "203.0.113.0",
    "2001:db8:aaaa:bbbb:cccc::1": "2001:db8:aaaa::",
    "::1": "::",
    "::ffff:203.0.113.77": "203.0.113.0",
    "203.0.113": None,
    "203.0.113.300": None,
    "203.0.113.7:443": None,
    "fe80::1%eth0": None,
    "unknown": None,
    "": None,
    "1.2.3.4\x00": None,
}


@pytest.mark.parametrize(("ip", "kept"), CUT.items())
def test_an_address_is_cut_short(ip, kept):
    assert truncate_ip(ip) == kept


@given(st.ip_addresses())
def test_what_is_kept_is_the_network_and_nothing_finer(ip):
    kept = truncate_ip(str(ip))
    assert kept is not None
    if isinstance(ip, ipaddress.IPv4Address):
        assert ipaddress.ip_network(f"{kept}/24") == ipaddress.ip_network((ip, 24), strict=False)
    elif ip.ipv4_mapped is None:
        assert ipaddress.ip_network(f"{kept}/48") == ipaddress.ip_network((ip, 48), strict=False)


@given(st.text())
def test_no_text_raises_when_cut(text):
    assert truncate_ip(text) is None or ipaddress.ip_address(text.partition("%")[0])


PROXIES = tuple(
    ipaddress.ip_network(net) for net in ("127.0.0.0/8", "10.0.0.0/8", "173.245.48.0/20", "::1/128")
)
V = "203.0.113.9"

CLIENTS = {
    "no header": ("127.0.0.1", None, PROXIES, "127.0.0.1"),
    "nobody is trusted": ("127.0.0.1", V, (), "127.0.0.1"),
    "header written by the visitor": ("198.51.100.7", V, PROXIES, "198.51.100.7"),
    "one proxy": ("127.0.0.1", V, PROXIES, V),
    "two proxies": ("127.0.0.1", f"{V}, 173.245.48.5", PROXIES, V),
    "visitor prefixed a lie": ("127.0.0.1", f"8.8.8.8, {V}, 173.245.48.5", PROXIES, V),
    "visitor claims to be a proxy": ("127.0.0.1", f"8.8.8.8, 10.0.0.1, {V}", PROXIES, V),
    "all are trusted": ("127.0.0.1", "10.0.0.5, 10.0.0.6", PROXIES, "10.0.0.5"),
    "with a port": ("127.0.0.1", f"{V}:5123", PROXIES, V),
    "IPv6 with brackets and port": ("::1", "[2001:DB8::7]:443", PROXIES, "2001:db8::7"),
    "IPv4 in IPv6 clothes": ("::ffff:127.0.0.1", f"::ffff:{V}", PROXIES, V),
    "malformed last entry": ("127.0.0.1", f"{V}, nonsense", PROXIES, "127.0.0.1"),
    "malformed entry before the proxy": ("127.0.0.1", "nonsense, 173.245.48.5", PROXIES, "173.245.48.5"),
    "empty entries": ("127.0.0.1", " , ,", PROXIES, "127.0.0.1"),
    "peer is a socket file": ("", V, PROXIES, ""),
}


@pytest.mark.parametrize(("peer", "forwarded", "trusted", "expected"), CLIENTS.values(), ids=CLIENTS.keys())
def test_the_client_is_the_nearest_address_that_is_vouched_for(peer, forwarded, trusted, expected):
    assert client_ip(peer, forwarded, trusted) == expected


def test_trust_follows_the_tuple_that_is_asked_about():
    assert client_ip("127.0.0.1", V, PROXIES) == V
    assert client_ip("127.0.0.1", V, PROXIES[1:]) == "127.0.0.1"
    assert client_ip("127.0.0.1", V, PROXIES) == V


@given(st.text(), st.lists(st.one_of(st.text(), st.ip_addresses().map(str))))
def test_no_header_raises_and_the_answer_is_the_peer_or_an_address(peer, entries):
    found = client_ip(peer, ",".join(entries), PROXIES)
    assert found == peer or ipaddress.ip_address(found)
