"""The application of a module, for what stands between it and a site's visitors."""

from __future__ import annotations

from tests.web.conftest import make_person, make_world, own_site, password_hash, signed_in, web

__all__ = ["make_person", "make_world", "own_site", "password_hash", "signed_in", "web"]
