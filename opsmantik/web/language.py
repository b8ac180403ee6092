"""The words on the screens: which language, and what is said in it.

One file a language (words/en.toml), and one a language and part of the settings (words/en/members.toml); complete in
both; templates name a word by its key and never write one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "tr")
HERE = Path(__file__).parent / "words"


@cache
def catalogue(language: str) -> Mapping[str, Any]:
    """Key to word; a key is the path in the file, joined by dots. Lists and plural tables stay whole."""
    files = [HERE / f"{language}.toml", *sorted((HERE / language).glob("*.toml"))]
    return {
        key: word for path in files for key, word in _flatten(tomllib.loads(path.read_text(encoding="utf-8")))
    }


def _flatten(table: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) and set(value) != {"one", "other"}:
            found += _flatten(value, f"{path}{key}.")
        else:
            found.append((path + key, value))
    return found


def choose(own: str | None, accept_language: str) -> str:
    """The person's own choice, else the first language of the browser's list that we speak, else English."""
    if own in LANGUAGES:
        return own
    asked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language.split(",")[:20]):
        tag, _, quality = part.partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        asked.append((-weight, place, tag.strip().lower().partition("-")[0]))
    return next((tag for weight, _, tag in sorted(asked) if weight < 0 and tag in LANGUAGES), LANGUAGES[0])


class Words:
    """One language's words. ``words("sign_in.title")``; ``words("site.leads_new", n=3)`` chooses the plural."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        word = self._words[key]
        if isinstance(word, dict):
            word = word["one" if values["n"] in (1, "1") else "other"]
        return str(word).format_map(values) if values else str(word)

    def get(self, key: str, otherwise: str) -> str:
        """The word for data that may have values this version has no word for."""
        return str(self._words.get(key, otherwise))

    def table(self, key: str) -> list[str]:
        """A list of words, such as the months."""
        words: list[str] = self._words[key]
        return words
