#!/bin/sh
# Prometheus's own checker reads our alert rules, where it can be had; without it a test reads them as YAML all the same.
set -eu
if command -v promtool >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing promtool for the tests of the alert rules ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null
    exit 0
fi
echo "The alert rules are checked better with promtool: sudo apt-get install prometheus" >&2
