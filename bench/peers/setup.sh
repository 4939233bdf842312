#!/bin/sh
# Brings the peers that the benchmarks are measured against, by ordinary package managers: Python packages into a cache outside the
# clone, brokers from Debian, and rumqttd, which cargo builds into that cache (some minutes). `setup.sh [PEER…]`, without names all:
# duckdb polars pyarrow chdb mosquitto mosquitto-clients nats-server rumqttd.
# Prints the folder of the Python environment. A peer that cannot be had is named on stderr, as `PEER: why`, and the others still come.
# Run again, it does nothing. ANABRANCH_PEERS names another folder. Ends with 0 unless there is no Python environment at all.
set -eu
peers="${ANABRANCH_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/anabranch/peers}"
venv="$peers/venv"
[ $# -gt 0 ] || set -- duckdb polars pyarrow chdb mosquitto mosquitto-clients nats-server rumqttd

# The oldest version of each that has what the drivers use.
requirement() {
    case $1 in
        duckdb) echo 'duckdb>=1.4' ;;
        polars) echo 'polars>=1.30' ;;
        pyarrow) echo 'pyarrow>=20' ;;
        chdb) echo 'chdb>=3' ;;
    esac
}

# Installed, without the second that an import takes.
has_package() {
    "$venv/bin/python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)' "$1"
}

# On every failure of pip, in one line, what it said last.
install_package() {
    said=$("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 --timeout 15 "$(requirement "$1")" 2>&1) ||
        echo "$1: $(printf '%s\n' "$said" | grep -v '^ *$' | tail -n 1)" >&2
}

has_program() {
    PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null 2>&1
}

# From Debian, without starting what it brings as a service: the benchmarks start their own.
install_program() {
    if [ ! -f /etc/debian_version ]; then
        echo "$1: not found, and only Debian's package manager is known here: install it" >&2
    elif [ "$(id -u)" -ne 0 ]; then
        echo "$1: not found, and only root may install it: apt-get install $1" >&2
    else
        policy=/usr/sbin/policy-rc.d
        if [ -e "$policy" ]; then
            policy=''
        else
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        said=$({ apt_install "$1" || { apt-get update -qq && apt_install "$1"; }; } 2>&1) ||
            echo "$1: $(printf '%s\n' "$said" | grep -v '^ *$' | tail -n 1)" >&2
        [ -z "$policy" ] || { rm -f "$policy" && trap - EXIT; }
    fi
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$1" </dev/null
}

# Without its lock file, in which a crate is too old for the compilers of today; without TLS, which needs a C compiler and more.
install_rumqttd() {
    said=$(env -u CARGO_TARGET_DIR cargo install rumqttd --version 0.20.0 --no-default-features --quiet --root "$peers/cargo" 2>&1) ||
        echo "rumqttd: $(printf '%s\n' "$said" | grep '^error' | tail -n 1)" >&2
}

if [ ! -x "$venv/bin/python" ]; then
    mkdir -p "$peers"
    python3 -m venv "$venv" >&2
fi
for peer in "$@"; do
    case $peer in
        duckdb | polars | pyarrow | chdb) has_package "$peer" || install_package "$peer" ;;
        mosquitto-clients) has_program mosquitto_sub || install_program "$peer" ;;
        mosquitto | nats-server) has_program "$peer" || install_program "$peer" ;;
        rumqttd) [ -x "$peers/cargo/bin/rumqttd" ] || has_program rumqttd || install_rumqttd ;;
        *) echo "$peer: not a peer that this script knows" >&2 ;;
    esac
done
echo "$venv"
