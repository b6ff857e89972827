#!/bin/bash
# Installs the peers that `make bench` compares Holdfast with, and what the corpora need.
#
#   scripts/install-bench.sh            restic, borgbackup, rsync and the tools of the corpora
#   scripts/install-bench.sh --bacula   Bacula with its PostgreSQL catalog as well
#
# rustic has no Debian package: `cargo install rustic-rs --locked`, then RUSTIC=/path/to/rustic.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "run as root: the corpora hold owners, devices and capabilities" >&2; exit 1; }
"$(dirname "$0")/install-deps.sh"

packages=(restic borgbackup rsync zstd python3 acl attr libcap2-bin e2fsprogs)
if [ "${1:-}" = --bacula ]; then
    packages+=(bacula-director bacula-director-pgsql bacula-sd bacula-fd bacula-console openssl bc)
fi
echo "Installing with apt-get: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o DPkg::Lock::Timeout=300 update
apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${packages[@]}" >/dev/null
