#!/bin/sh
# Regenerates run.txt and dev.txt: every package with its hashes, for every platform and Python >= 3.11.
# Present versions are kept where they still fit; `requirements/lock.sh --upgrade` takes the newest.
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
[ -x "$uv" ] || uv=uv

compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" "$@" >/dev/null
}

compile pyproject.toml requirements/build.in --output-file requirements/run.txt "$@"
# The same versions, and the tools of developers besides.
compile pyproject.toml requirements/build.in --group dev --constraint requirements/run.txt \
    --output-file requirements/dev.txt "$@"

if grep -nE '[a-z]+://' requirements/run.txt requirements/dev.txt; then
    echo "A lock must not name where packages come from." >&2
    exit 1
fi
