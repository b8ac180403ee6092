#!/bin/sh
# The browser tests drive the system's Chromium. Root on Debian gets it installed; others are told the command.
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null
    exit 0
fi
echo "The browser tests need Chromium. Run: sudo apt-get install chromium" >&2
echo "Or leave them out: make test-quick" >&2
exit 1
