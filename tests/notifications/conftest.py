"""A desk at which leads are decided, for mails about them."""

from tests.desk import make_desk

__all__ = ["make_desk"]
