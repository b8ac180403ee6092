#!/bin/sh
# The configurations for nginx, Caddy and pgbouncer are tested with the real ones. Root on Debian gets them installed, and nothing is
# started by that; elsewhere those tests are left out, and say so.
set -eu
missing=
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v caddy >/dev/null || missing="$missing caddy"
command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing$missing for the tests of the proxies and the pooler ..."
    # Debian starts a server with its installation, unless this says no.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    # shellcheck disable=SC2086
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null && exit 0
fi
echo "The tests of the proxies and the pooler are left out. To have them: sudo apt-get install$missing" >&2
