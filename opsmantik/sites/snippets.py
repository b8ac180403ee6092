"""What goes into a site's pages, by the way in which they are made. Pure text, ready to be copied."""

from __future__ import annotations

import json
from html import escape
from typing import Final

FIRST_PARTY_SCRIPT: Final = "/om/core.js"
FIRST_PARTY_EVENTS: Final = "/om/events"
"""The paths on the client's own domain, as integrations/proxy/ passes them on. No word in them that filter lists know."""

_MODES_THAT_ASK: Final = ("required", "legacy")


def asks(consent_mode: str) -> bool:
    """Whether the site's policy wants a word on consent from today's tracker: then the tag waits for it."""
    return consent_mode in _MODES_THAT_ASK


def plain(base_url: str, public_id: str, consent_mode: str) -> str:
    """What goes before ``</head>`` on every page."""
    return _tag(f"{base_url}/assets/core.js", public_id, consent_mode)


def first_party(public_id: str, consent_mode: str) -> str:
    """The same, through the client's own domain."""
    return _tag(FIRST_PARTY_SCRIPT, public_id, consent_mode, api=FIRST_PARTY_EVENTS)


def _tag(src: str, public_id: str, consent_mode: str, api: str | None = None) -> str:
    found = {"src": src, "data-site-id": public_id}
    found |= {"data-api": api} if api else {}
    found |= {"data-consent": "required"} if asks(consent_mode) else {}
    attributes = " ".join(f'{name}="{escape(value)}"' for name, value in found.items())
    return f"<script defer {attributes}></script>"


def tag_manager(base_url: str, public_id: str, consent_mode: str) -> str:
    """A Custom HTML tag. Tag Manager makes a script element of its own and leaves its ``data-`` attributes out, so this
    makes the element itself; the tracker finds them there, as ``document.currentScript``."""
    consent = '  tag.setAttribute("data-consent", "required");\n' if asks(consent_mode) else ""
    return (
        "<script>\n(function () {\n"
        '  var tag = document.createElement("script");\n'
        "  tag.async = true;\n"
        f"  tag.src = {json.dumps(f'{base_url}/assets/core.js')};\n"
        f'  tag.setAttribute("data-site-id", {json.dumps(public_id)});\n'
        f"{consent}"
        "  document.head.appendChild(tag);\n"
        "})();\n</script>"
    )


def consent() -> str:
    """What a consent banner calls once the visitor has chosen; it may run before the tracker has loaded."""
    return (
        "<script>\n"
        "window.opsmantik = window.opsmantik || function () {\n"
        "  (opsmantik.q = opsmantik.q || []).push(arguments);\n"
        "};\n"
        'opsmantik("consent", { analytics: true, marketing: true });\n'
        "</script>"
    )
