#!/bin/bash
# Makes sure that this Debian machine has what Holdfast needs to build and to run its tests.
#
#   scripts/install-deps.sh           say what is missing, then install it (root, or sudo without a password)
#   scripts/install-deps.sh --list    only print the missing packages, one line
#
# Asks nothing. Installs by package name from the machine's own sources; starts no database: the
# Director runs a private one. Prints the command to type when it may not install.
set -euo pipefail

missing=()
need() { # COMMAND PACKAGE: the package is missing when the command is
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null || missing+=("$2")
}

has_postgres() {
    command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

# A compiler and linker for the C parts of two crates (cryptography, compression).
need cc gcc
need make make
# PostgreSQL's server binaries: the catalog.
has_postgres || missing+=(postgresql)
# What the tests set and compare: ACLs, extended attributes, capabilities, inode flags.
need setfacl acl
need setfattr attr
need setcap libcap2-bin
need chattr e2fsprogs

if [ "${1:-}" = --list ]; then
    echo "${missing[*]-}"
    exit 0
fi
if ! command -v cargo >/dev/null; then
    echo "Rust is missing. Install it from https://rustup.rs, open a new shell, and try again." >&2
    exit 1
fi
[ ${#missing[@]} -gt 0 ] || exit 0

root=()
if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "These packages are missing; only root can install them:" >&2
        echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo -n)
fi

echo "Installing with apt-get: ${missing[*]}"
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
    # Debian's package would make and start a cluster of its own on port 5432: not wanted, only the binaries are.
    echo "(PostgreSQL: server binaries only, no cluster is made or started)"
    "${root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' |
        "${root[@]}" tee /etc/postgresql-common/createcluster.d/holdfast.conf >/dev/null
fi
export DEBIAN_FRONTEND=noninteractive
apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "The packages could not be installed; the lines above say why." >&2
    exit 1
fi
