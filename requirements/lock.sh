#!/bin/sh
# Pins requirements/*.in with hashes into *.txt; needs `uv`. No index or download address is kept.
set -eu
cd "$(dirname "$0")"
for name in run dev; do
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --no-annotate --no-emit-index-url --no-emit-find-links "$name.in" -o "$name.txt"
done
