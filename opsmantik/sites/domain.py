"""A site's domain, from whatever a person pastes, and the origins that it may post from."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from opsmantik.errors import Unprocessable

LONGEST_DOMAIN = 253
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def read_domain(text: str) -> str:
    """The bare host name: lower case, ASCII (IDNA), without scheme, port, path and ``www.``.

    Raises :class:`~opsmantik.errors.Unprocessable` where no browser would find a host.
    """
    text = text.strip()
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
        host = host.rstrip(".").encode("idna").decode("ascii").lower()
    except ValueError:  # UnicodeError is one
        host = ""
    host = host.removeprefix("www.")
    labels = host.split(".")
    named = len(labels) > 1 and not labels[-1].isdigit()  # an address such as 192.0.2.1 is no domain
    if not named or len(host) > LONGEST_DOMAIN or not all(_LABEL.fullmatch(label) for label in labels):
        raise Unprocessable(reason="that is not a domain such as example.com")
    return host


def origins_of(domain: str) -> list[str]:
    """What browsers write in Origin on this domain's pages, with and without ``www.``, over TLS."""
    return [f"https://{domain}", f"https://www.{domain}"]
