"""The files for other people's servers, from the folder ``integrations``: made ready for one site, to copy or to download.

In a checkout the folder lies beside the package, in an installed package inside it.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_PACKAGE: Final = Path(__file__).parents[1]
FOLDER: Final = next(
    (place for place in (_PACKAGE / "integrations", _PACKAGE.parent / "integrations") if place.is_dir()),
    _PACKAGE / "integrations",
)
PROXIES: Final = {"nginx": "nginx.conf", "caddy": "Caddyfile"}
# What stands in the files, so that they can be read and used as they are.
_SERVER: Final = "https://stats.example.com"
_SITE: Final = "www.example.com"
# Zip's own first day: the same file for the same site, whenever it is made.
_NO_DATE: Final = (1980, 1, 1, 0, 0, 0)


def proxy(name: str, base_url: str, domain: str) -> str:
    """The configuration for one of :data:`PROXIES`, with this installation's address and the site's domain in it."""
    text = (FOLDER / "proxy" / PROXIES[name]).read_text(encoding="utf-8")
    host = urlsplit(base_url).netloc
    return (
        text.replace(_SERVER, base_url).replace(_SERVER.removeprefix("https://"), host).replace(_SITE, domain)
    )


def wordpress(base_url: str, public_id: str, *, ask_consent: bool) -> bytes:
    """The plugin as WordPress takes it, with server and site filled in."""
    folder = FOLDER / "wordpress"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "opsmantik").rglob("*")):
            if path.is_file():
                _add(archive, path.relative_to(folder).as_posix(), path.read_bytes())
        _add(archive, "opsmantik/defaults.php", _defaults(base_url, public_id, ask_consent).encode())
    return packed.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _NO_DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def _defaults(base_url: str, public_id: str, ask_consent: bool) -> str:
    consent = "required" if ask_consent else "policy"
    return (
        "<?php\n// What this download came with; what is saved on the settings page wins.\n"
        "defined( 'ABSPATH' ) || exit;\n"
        f"return array( 'server' => {_php(base_url)}, 'site' => {_php(public_id)}, 'consent' => '{consent}' );\n"
    )


def _php(text: str) -> str:
    """A string of PHP's. In single quotes nothing but these two is special."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
