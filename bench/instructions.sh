#!/bin/sh
# Counts the instructions of the hot path's functions in valgrind and holds them against bench/budgets.toml.
#   bench/instructions.sh            shows the table; fails when a function is off by more than 3 %, up or down
#   bench/instructions.sh --write    writes new budgets, after the table
# The runner of the counting comes from crates.io, once, into a cache outside the clone (ANABRANCH_CACHE). Without valgrind or
# AVX2 it says so loudly and ends with 0: nothing was counted. With another compiler, valgrind or C library than the budgets
# were counted with, it says so and allows 15 %.
set -eu
cd "$(dirname "$0")/.."
cache="${ANABRANCH_CACHE:-$HOME/.cache/anabranch}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"

if ! command -v valgrind >/dev/null 2>&1; then
    echo '!!! valgrind is missing: instructions are NOT counted, budgets are NOT enforced (Debian: apt-get install valgrind)' >&2
    exit 0
fi
case "$(uname -m) $(grep -m 1 -ow avx2 /proc/cpuinfo)" in
    'x86_64 avx2') ;;
    *)
        echo '!!! no x86-64 with AVX2, which the budgets are for: instructions are NOT counted, budgets are NOT enforced' >&2
        exit 0
        ;;
esac
# Runner and library have to be of one version; the lock file has it.
version=$(sed -n '/^name = "gungraun"$/{n;s/^version = "\(.*\)"$/\1/p;}' Cargo.lock)
runner="$cache/tools/gungraun-$version"
if [ ! -x "$runner/bin/gungraun-runner" ]; then
    cargo install --quiet gungraun-runner --version "=$version" --locked --root "$runner" >&2
fi
# Found by its path: GUNGRAUN_RUNNER would be compiled in, and everything built anew when it comes and goes.
export PATH="$runner/bin:$PATH"
counts="$CARGO_TARGET_DIR/instructions.ndjson"
mkdir -p "$CARGO_TARGET_DIR"
cargo bench --quiet --locked -p bench --bench instructions -- \
    --output-format=json --parallel=auto --nosummary --callgrind-args=--cache-sim=no >"$counts"
exec cargo run --quiet --release --locked -p bench --bin budgets -- "$counts" "$@"
