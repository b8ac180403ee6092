"""Makes .venv in the checkout and installs a lock into it: ``python3 requirements/install.py run|dev``.

Safe to repeat: nothing is done while what is installed is what the lock says. Only the standard library is
used, and Pythons that are too old for the rest can read this one file and say so.
"""
# ruff: noqa: S603 - every command here is made of this file's own words

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
NAMES = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"]
# What a Python must tell: its version, and whether it can make virtual environments (Debian splits that off).
ASK = "import sys, importlib.util as u; print(*sys.version_info[:2], int(bool(u.find_spec('ensurepip'))))"


def main(kind):
    if is_current(kind):
        return
    lock = os.open(str(ROOT / "requirements"), os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # two at once: the second waits, and finds it done
    if is_current(kind):
        return
    if not works([str(PYTHON), "-c", "import pip"]):
        python = find_python()
        print(f"Making a virtual environment in .venv with {python} ...", flush=True)
        run([python, "-m", "venv", "--clear", str(VENV)])
    print(f"Installing requirements/{kind}.txt (only when it has changed) ...", flush=True)
    pip = [
        str(PYTHON),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "-qq",
        "--no-input",
        "--no-compile",
    ]
    run([*pip, "--require-hashes", "-r", str(ROOT / "requirements" / (kind + ".txt"))])
    run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT)])
    compile_all()
    stamp(kind).write_text(fingerprint(kind))


def is_current(kind):
    """Whether this lock, or the developers' (which holds all of it), is what is installed."""
    kinds = {kind, "dev"}
    return os.access(str(PYTHON), os.X_OK) and any(
        stamp(k).exists() and stamp(k).read_text() == fingerprint(k) for k in kinds
    )


def stamp(kind):
    return VENV / f"installed-{kind}"


def fingerprint(kind):
    """Changes with the lock, with the project's own declaration, and when the checkout is moved."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (ROOT / "requirements" / (kind + ".txt"), ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def find_python():
    """A Python that is new enough; PYTHON names another than the first one found."""
    named = os.environ.get("PYTHON")
    seen = []
    for name in [named] if named else NAMES:
        path = shutil.which(name)
        told = path and ask(path)
        if not told:
            continue
        version = "{}.{}".format(*told[:2])
        seen.append(f"{path} is {version}")
        if tuple(told[:2]) >= OLDEST:
            if not told[2]:
                add_venv(path, version)
            return path
    hint = (
        "Install one (Debian: apt-get install python3 python3-venv), or name it: make up PYTHON=/path/to/it"
    )
    sys.exit("OpsMantik needs Python 3.11 or newer ({}). {}".format("; ".join(seen) or "none found", hint))


def ask(path):
    try:
        said = subprocess.run(
            [path, "-c", ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
    except (OSError, subprocess.CalledProcessError):  # a name without a Python behind it, as pyenv has them
        return None
    return [int(word) for word in re.findall(rb"\d+", said.stdout)]


def add_venv(path, version):
    """Debian's Python without its package for virtual environments: root may add it, others are told how."""
    package = f"python{version}-venv"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"{path} lacks {package}; installing that ...", flush=True)
        run(["apt-get", "update", "-qq"])
        run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", package])
    if not (ask(path) or [0, 0, 0])[2]:
        sys.exit(f"{path} cannot make virtual environments. Run: sudo apt-get install {package}")


def compile_all():
    """Python's bytecode, on all processors: pip makes it on one, and what is left to the first run it makes twice."""
    places = [str(path) for path in (*VENV.glob("lib/python3*/site-packages"), ROOT / "opsmantik")]
    works([str(PYTHON), "-m", "compileall", "-q", "-j", "0", *places])  # a few files are for other Pythons


def works(command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def run(command):
    if subprocess.run(command, cwd=str(ROOT)).returncode != 0:
        sys.exit("This failed: {}".format(" ".join(command)))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("run", "dev"):
        sys.exit("usage: python3 requirements/install.py run|dev")
    main(sys.argv[1])
