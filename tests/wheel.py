"""The wheel as somebody gets it who has no checkout: ``python -m tests.wheel`` (`make test-wheel`).

It is built from a copy of the sources, installed with its dependencies into a virtual environment of its own, and
`opsmantik up --demo` is started there, in an empty directory, with a PATH on which there is no Node and nothing of
ours. Every address that a person sees first is asked for, the demo is waited for, an audit is made, and it is taken
down. The dependencies are those of the lock's versions; they come from the registry that pip is set up for.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
# What a wheel is made of; nothing else of the checkout may be needed.
SOURCES = ("opsmantik", "integrations", "docs/checks", "pyproject.toml", "README.md", "LICENSE")
UP_SECONDS = 240
# Looked at in the answer: a page without its template, words or style would lack them.
PAGES = {
    "/sign-in": "OpsMantik", "/assets/core.js": "sendBeacon", "/static/style.css": "{", "/static/htmx.js": "htmx",
    "/static/icons.svg": "<symbol", "/api/docs": "", "/healthz": "",
}  # fmt: skip


def copy_sources(to: Path) -> Path:
    """The sources alone, as a fresh checkout has them: no cache, nothing built."""
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to / name)
    return to


def build(source: Path, into: Path, **environment: str) -> Path:
    """Make the wheel, without asking a registry; gives its path."""
    into.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)],
        cwd=source, env={**os.environ, **environment}, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (wheel,) = into.glob("*.whl")
    return wheel


def install(wheel: Path, venv: Path) -> Path:
    """A clean environment with the wheel in it; gives its directory of programs."""
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    pins = re.findall(r"^([A-Za-z0-9._-]+==[^\s;\\]+)", (ROOT / "requirements" / "run.txt").read_text(), re.M)
    versions = venv / "versions.txt"
    versions.write_text("\n".join(pins) + "\n")
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "-c", str(versions), str(wheel)], check=True, timeout=900)
    subprocess.run([*pip, "check"], check=True, timeout=120)
    return venv / "bin"


def bare_path(programs: Path, folder: Path) -> str:
    """A PATH with the environment's programs, and of the system's only those named here: no Node, no git, no compiler."""
    folder.mkdir()
    for name in ("sh", "env", "uname", "id", "ldconfig"):
        if found := shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            (folder / name).symlink_to(found)
    return f"{programs}{os.pathsep}{folder}"


def try_it(programs: Path, folder: Path) -> list[str]:
    """Start it, look at it, take it down; says what was seen. Raises ``AssertionError`` where something is missing."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    empty = folder / "empty"
    empty.mkdir()
    environment = {
        "PATH": bare_path(programs, folder / "path"), "HOME": str(empty), "OPSMANTIK_HOME": str(folder / "home"),
        "OPSMANTIK_PORT": str(port), "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    assert shutil.which("node", path=environment["PATH"]) is None
    program, log, seen = str(programs / "opsmantik"), folder / "log", []
    with log.open("w") as words:
        process = subprocess.Popen(
            [program, "up", "--demo"], cwd=empty, env=environment, stdout=words, stderr=words, start_new_session=True
        )  # fmt: skip
    try:
        said = _await(process, log)
        base_url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base_url, timeout=30, follow_redirects=True) as client:
            for path, needle in PAGES.items():
                answer = client.get(path)
                assert answer.status_code == 200 and needle in answer.text, (path, answer.status_code)
            for language, word in (("en", "Sign in"), ("tr", "Giriş yap")):
                assert word in client.get("/sign-in", headers={"accept-language": language}).text, language
            seen.append(f"{len(PAGES)} addresses, two languages")
            _sign_in(client, said)
            pages = _walk(client)
            seen.append(f"signed in; {pages} pages of a site")
            landing = re.findall(r"http://\S+/demo/\S+", said)
            assert landing and all(client.get(one).status_code == 200 for one in landing)
            seen.append(f"{len(landing)} landing pages")
        for words in (["db", "migrate"], ["audit"], ["counters", "verify"]):
            done = subprocess.run(
                [program, *words], cwd=empty, env=environment, capture_output=True, text=True, timeout=300
            )
            assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
            seen.append(f"opsmantik {' '.join(words)}: 0")
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        assert code in (0, 130, -signal.SIGINT), f"it ended with {code}"
        seen.append("taken down in order")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert not list(empty.iterdir()), f"it left {list(empty.iterdir())} where it was started"
    return seen


def _await(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text()
        if "Ctrl-C" in text and "Sign in as" in text:
            return text
        time.sleep(0.2)
    raise AssertionError(f"it did not come up: {log.read_text()[-3000:]}")


def _sign_in(client: httpx.Client, said: str) -> None:
    found = re.search(r"Sign in as (\S+) with the password (\S+)", said)
    assert found is not None
    token = re.search(r'name="form_token" value="([^"]+)"', client.get("/sign-in").text)
    assert token is not None
    data = {"form_token": token[1], "email": found[1], "password": found[2]}
    assert client.post("/sign-in", data=data, headers={"origin": str(client.base_url)}).status_code == 200


def _walk(client: httpx.Client) -> int:
    """The pages of a site, so that every room's templates, words and queries are opened."""
    site = re.search(r'href="(/sites/[0-9a-f-]{36})', client.get("/").text)
    assert site is not None
    below = ("", "/queue", "/leads?range=all", "/conversions", "/live", "/install", "/settings")
    for path in below:
        answer = client.get(site[1] + path)
        assert answer.status_code == 200, (path, answer.status_code)
    for path in ("/account", "/api/docs"):
        assert client.get(path).status_code == 200, path
    return len(below) + 2


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="om-wheel-") as name:
        folder = Path(name)
        wheel = build(copy_sources(folder / "source"), folder / "dist")
        print(f"{wheel.name}: {wheel.stat().st_size // 1024} kB", flush=True)
        programs = install(wheel, folder / "venv")
        shutil.rmtree(folder / "source")
        print("installed into a clean environment", flush=True)
        for line in try_it(programs, folder):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
