#!/bin/bash
# Makes the corpora that are missing: prepare.sh small,large,quirks
set -euo pipefail
root=${BENCH_ROOT:-/var/tmp/bench}
for corpus in ${1//,/ }; do
    folder=$root/corpora/$corpus
    [ ! -d "$folder" ] || continue
    mkdir -p "$root/corpora"
    echo "making the corpus $corpus in $folder"
    # Under another name until it is whole: a corpus that was interrupted is not taken for one.
    rm -rf "$folder.part" "$folder.part.made.json"
    "$(dirname "$0")/corpus.py" make "$corpus" "$folder.part"
    [ ! -f "$folder.part.made.json" ] || mv "$folder.part.made.json" "$folder.made.json"
    mv "$folder.part" "$folder"
done
