#!/bin/sh
# The plugin for WordPress is tested as PHP. Root on Debian gets it installed; elsewhere those tests are left out, and say so.
set -eu
if command -v php >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing PHP for the tests of the plugin ..."
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends php-cli >/dev/null && exit 0
fi
echo "The tests of the plugin for WordPress are left out. To have them: sudo apt-get install php-cli" >&2
