#!/bin/sh
# Brings the peers that the benchmarks are measured against, by an ordinary package manager, into a cache outside the clone.
# Prints the folder of the Python environment. Run again, it does nothing. ANABRANCH_PEERS names another folder.
set -eu
peers="${ANABRANCH_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/anabranch/peers}"
venv="$peers/venv"
wanted="duckdb>=1.4"
if [ ! -x "$venv/bin/python" ]; then
    mkdir -p "$peers"
    python3 -m venv "$venv" >&2
fi
if ! "$venv/bin/python" -c "import duckdb" 2>/dev/null; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 --timeout 15 "$wanted" >&2
fi
echo "$venv"
