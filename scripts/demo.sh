#!/bin/bash
# Shows the whole of Holdfast on this machine: builds it, starts a Director with its PostgreSQL catalog,
# a Storage Daemon and a File Daemon, backs up a real directory tree, restores it elsewhere and compares.
# Asks nothing. Run it again and it works incrementally.
#
#   DEMO_DIR    what is backed up        (/usr/share)
#   DEMO_ROOT   where everything lies    (root: /var/lib/holdfast-demo, others: ~/.holdfast-demo)
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

source_dir=$(realpath -e "${DEMO_DIR:-/usr/share}")
if [ "$(id -u)" = 0 ]; then default_root=/var/lib/holdfast-demo; else default_root=$HOME/.holdfast-demo; fi
root=$(realpath -m "${DEMO_ROOT:-$default_root}")
restored=$root/restored
export HOLDFAST_ROOT=$root
holdfast=$PWD/target/release/holdfast

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { # shows the command as a person would type it, then runs it
    printf '\n$ holdfast %s\n' "$*"
    "$holdfast" "$@"
}
# Exit code 1 is "warnings": something of the source could not be read. The comparison judges.
show_and_go_on() {
    show "$@" || [ $? = 1 ]
}
fail() {
    echo "$*" >&2
    exit 1
}

plan() {
    local missing
    missing=$(scripts/install-deps.sh --list)
    say "What happens now (no questions)"
    if [ -n "$missing" ]; then
        echo "  installs   Debian packages: $missing"
    else
        echo "  installs   nothing, all is there"
    fi
    echo "  builds     target/release (some minutes the first time)"
    echo "  keeps all  under $root (volumes, catalog, certificates, restored files)"
    echo "  listens    on loopback only"
    echo "  backs up   $source_dir and restores it to $restored"
    [ "$(id -u)" = 0 ] || echo "  (not root: files you may not read are left out, restored files belong to you)"
}

# The volumes hold at most one copy, the restored tree is another.
check_space() {
    local need free
    need=$(du -sk "$source_dir" 2>/dev/null | cut -f1 || true)
    mkdir -p "$root"
    free=$(df -Pk "$root" | awk 'NR == 2 {print $4}')
    [ "$free" -gt $((need * 2 + 1024 * 1024)) ] ||
        fail "$root has $((free / 1024)) MiB free; this needs $((need * 2 / 1024 + 1024)). Set DEMO_DIR or DEMO_ROOT."
}

# Only ever removes what an earlier demo restored.
clear_restored() {
    [ ! -e "$restored" ] || [ -e "$root/.restored-by-demo" ] ||
        fail "$restored exists and is not from this demo. Move it away or set DEMO_ROOT."
    rm -rf "$restored"
    touch "$root/.restored-by-demo"
}

plan
check_space
scripts/install-deps.sh

say "Build"
built_from=$SECONDS
cargo build --locked --release --workspace --bins
cargo build --locked --quiet --package xtask
echo "built in $(((SECONDS - built_from) / 60)) min $(((SECONDS - built_from) % 60)) s"

say "Start Director, catalog, Storage Daemon and File Daemon"
show up --root "$root"
show status

say "Back up $source_dir"
show protect "$source_dir" --name demo
show_and_go_on run demo --wait

say "Look at it"
show runs
show snapshots
show ls --job demo "$source_dir" --limit 25

say "Restore to $restored"
clear_restored
show_and_go_on restore --job demo --to "$restored"

say "Compare every file with the original: content, owner, mode, times, ACLs, attributes, links"
cargo xtask compare "$source_dir" "$restored$source_dir"

say "It works. The daemons are still running:"
cat <<END
  export HOLDFAST_ROOT=$root PATH=$PWD/target/release:\$PATH
  holdfast status                     what is going on
  holdfast find --job demo NAME       a file in any snapshot
  holdfast restore --help             one file, another time, another place
  holdfast client add web01           another machine: prints the one command to type there
  make demo                           again: this time only what changed

To stop:       holdfast down
To remove all: holdfast down, then delete $root
END
