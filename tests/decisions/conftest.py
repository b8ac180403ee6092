"""A site with its people, and leads to decide about."""

from __future__ import annotations

from tests.desk import make_desk

__all__ = ["make_desk"]
