"""Snapshots of what answers look like: which keys they have, and of which types. Values are not in them.

A key more passes: programs that read the answer do not mind. A key that is gone, or that holds another type than it
ever did, fails: somewhere a dashboard reads it. With OPSMANTIK_WRITE_SHAPES=1 a snapshot takes in what it is shown,
beside what it knows; nothing is ever taken out but by hand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "web" / "shapes"
WRITE = "OPSMANTIK_WRITE_SHAPES"

# {"types": [...]}, with "keys" of an object, "items" of an array, and "optional" of a key that not every row has.
Shape = dict[str, Any]


def shape_of(value: Any) -> Shape:
    """The shape of one value. Keys that only some of an array's objects have (a caller's own data) are optional."""
    if isinstance(value, dict):
        return {"types": ["object"], "keys": {key: shape_of(value[key]) for key in sorted(value)}}
    if isinstance(value, list):
        shape: Shape = {"types": ["array"]}
        for item in value:
            shape["items"] = merged(shape.get("items"), shape_of(item), same_answer=True)
        return shape
    return {"types": [type_of(value)]}


def type_of(value: Any) -> str:
    """The JSON type of a value that holds no others."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def merged(known: Shape | None, more: Shape, *, same_answer: bool = False) -> Shape:
    """A shape that both have. What only one has is optional within one answer; of two answers nothing is forgotten."""
    if known is None:
        return more
    both: Shape = {"types": sorted({*known["types"], *more["types"]})}
    if known.get("optional") or (same_answer and more.get("optional")):
        both["optional"] = True
    if "items" in known or "items" in more:
        both["items"] = _either(known.get("items"), more.get("items"), same_answer)
    if "keys" in known and "keys" in more:
        both["keys"] = {
            key: _key(known["keys"].get(key), more["keys"].get(key), same_answer)
            for key in sorted(known["keys"].keys() | more["keys"].keys())
        }
    elif "keys" in known or "keys" in more:
        both["keys"] = known.get("keys", more.get("keys"))
    return both


def _either(known: Shape | None, more: Shape | None, same_answer: bool) -> Shape | None:
    return known if more is None else merged(known, more, same_answer=same_answer)


def _key(known: Shape | None, more: Shape | None, same_answer: bool) -> Shape:
    if known is not None and more is not None:
        return merged(known, more, same_answer=same_answer)
    one = known or more or {}
    return {**one, "optional": True} if same_answer else one


def differences(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """What the value lacks, or has of another type, in words."""
    here = path or "the answer"
    seen = shape_of(value)["types"][0]
    if seen not in shape["types"]:
        yield f"{here} is {seen}, was {' or '.join(shape['types'])}"
    elif isinstance(value, dict):
        for key, inner in shape.get("keys", {}).items():
            if key in value:
                yield from differences(value[key], inner, f"{path}.{key}" if path else key)
            elif not inner.get("optional"):
                yield f"{path}.{key} is gone" if path else f"{key} is gone"
    elif isinstance(value, list) and "items" in shape:
        for item in value:
            yield from differences(item, shape["items"], f"{path}[]")


def check(value: Any, name: str, home: Path = HERE) -> None:
    """Compare an answer, decoded from JSON, with the snapshot of this name; fails with all that differs."""
    path = home / f"{name}.json"
    known: Shape | None = json.loads(path.read_text()) if path.exists() else None
    if os.environ.get(WRITE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(merged(known, shape_of(value)), indent=1, sort_keys=True) + "\n")
        return
    assert known is not None, f"there is no snapshot {name}; look at the answer, then run with {WRITE}=1"
    found = sorted(set(differences(value, known)))
    assert not found, f"{name} changed its shape:\n" + "\n".join(found)
