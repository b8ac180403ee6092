"""Builds the browser script: tracker/src/*.js -> tracker/dist/core.js and the package's own copy of it.

    python tracker/build.py           # writes both
    python tracker/build.py --check   # exits 1 if either is not what the sources build to, or is too large

The sources are ES modules; the script in a page must be one classic file. So the modules are laid end to
end, each after those it imports, inside one function, and minified. Needs tdewolff-minify from pip; no Node.
"""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENTRY = HERE / "src" / "core.js"
OUTPUTS = (
    HERE / "dist" / "core.js",
    HERE.parent / "opsmantik" / "web" / "static" / "core.js",  # so that a wheel carries it
)
MOST_BYTES_GZIPPED = 6000
SYNTAX = 2018  # the newest syntax that the minifier may introduce; browsers since then run it

_IMPORT = re.compile(r'^import\s[^;]*?from\s+"\./([\w-]+\.js)";\n', re.M)
_EXPORT = re.compile(r"^export\s+(?=const|let|function)", re.M)
_NAME = re.compile(r"^(?:const|let|function)\s+(\w+)", re.M)


def bundle(entry: Path) -> str:
    """All modules that the entry needs, as one function that leaves no names outside."""
    done: dict[Path, str] = {}

    def visit(path: Path) -> None:
        if path in done:
            return
        source = path.read_text(encoding="utf-8")
        done[path] = ""
        for name in _IMPORT.findall(source):
            visit(path.parent / name)
        done[path] = done.pop(path) or _EXPORT.sub("", _IMPORT.sub("", source))

    visit(entry)
    body = "\n".join(done.values())
    if left := re.findall(r"^(?:import|export)\b.*", body, re.M):
        raise SystemExit(f"A form of import or export that this builder does not know: {left[0]}")
    names = _NAME.findall(body)
    if twice := {name for name in names if names.count(name) > 1}:
        raise SystemExit(
            f"The modules share one scope when built; declared twice: {', '.join(sorted(twice))}"
        )
    return f'(function(){{"use strict";\n{body}}})();\n'


def minified(script: str) -> str:
    try:
        import minify  # type: ignore[import-untyped]
    except ImportError:
        raise SystemExit("Building the tracker needs: pip install tdewolff-minify") from None
    minify.config({"js-version": SYNTAX})
    built: str = minify.string("application/javascript", script)
    return built.strip() + "\n"


def main(arguments: list[str]) -> int:
    script = minified(bundle(ENTRY)).encode()
    size = len(gzip.compress(script, 9, mtime=0))
    print(f"core.js: {len(script)} bytes, {size} gzipped (at most {MOST_BYTES_GZIPPED})")
    if size > MOST_BYTES_GZIPPED:
        print("Too large.", file=sys.stderr)
        return 1
    if "--check" in arguments:
        stale = [path for path in OUTPUTS if not path.is_file() or path.read_bytes() != script]
        for path in stale:
            print(
                f"{path.relative_to(HERE.parent)} is not what tracker/src builds to: run tracker/build.py",
                file=sys.stderr,
            )
        return 1 if stale else 0
    for path in OUTPUTS:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(script)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
