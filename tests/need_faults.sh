#!/bin/sh
# Some faults need programs to be done: strace (a disk that fails), faketime (clocks), nftables (a network that is cut). Root on
# Debian gets them installed; elsewhere those rows are not run, and say so.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=
command -v strace >/dev/null || missing="$missing strace"
command -v faketime >/dev/null || missing="$missing faketime"
command -v nft >/dev/null || missing="$missing nftables"
command -v ip >/dev/null || missing="$missing iproute2"
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing$missing for the faults ..."
    # shellcheck disable=SC2086
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null && exit 0
fi
echo "Some faults are left out. To have them: sudo apt-get install$missing" >&2
