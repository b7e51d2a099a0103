#!/bin/sh
# Makes .venv as uv.lock says, from nothing but Python 3.11 or newer with venv or pip.
# Does nothing, and asks no network, when .venv is what the lock and this place want already.
# PYTHON=... chooses the interpreter. Run from the repository's root; relative paths only, so spaces do no harm.
set -eu

MINIMUM="3.11"
UV_VERSION="0.13.8"
STAMP=".venv/.headrace-stamp"

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "headrace: $1"
    say "$2"
    exit 1
}

usable() { # is $1 a Python that is new enough? Prints its path.
    "$1" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(sys.executable)' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" || fail "PYTHON=$PYTHON is not Python $MINIMUM or newer." "Name another one: make PYTHON=python3.12 ..."
        return
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if usable "$candidate"; then return; fi
    done
    fail "no Python $MINIMUM or newer was found on PATH." "Install one, or name it: make PYTHON=/path/to/python3 ..."
}

wanted_stamp() { # the lock, the place (a moved .venv is broken), and the interpreter of .venv
    pwd
    "$1" -c '
import hashlib, pathlib, sys
for name in ("uv.lock", "pyproject.toml"):
    print(name, hashlib.sha256(pathlib.Path(name).read_bytes()).hexdigest())
print(*sys.version_info[:2])'
}

up_to_date() {
    [ -x .venv/bin/python ] && [ -f "$STAMP" ] || return 1
    if [ -n "${PYTHON:-}" ]; then chosen=$(find_python); else chosen=.venv/bin/python; fi
    [ "$(wanted_stamp "$chosen" 2>/dev/null)" = "$(cat "$STAMP")" ]
}

writable_cache() { # uv wants a cache; a user without a home gets one here
    if [ -n "${UV_CACHE_DIR:-}" ]; then return; fi
    cache="${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/uv"
    if mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]; then return; fi
    UV_CACHE_DIR=.tools/cache
    export UV_CACHE_DIR
}

runs() { "$1" --version >/dev/null 2>&1; }

get_uv() { # sets UV
    for UV in .tools/bin/uv .tools/lib/bin/uv; do
        if runs "$UV"; then return; fi
    done
    say "Getting uv $UV_VERSION into .tools (about 25 MB, once)..."
    rm -rf .tools
    if "$1" -m venv .tools >/dev/null 2>&1 && .tools/bin/python -m pip install -q "uv==$UV_VERSION" >&2; then
        UV=.tools/bin/uv
    elif rm -rf .tools && "$1" -m pip install -q --target .tools/lib "uv==$UV_VERSION" >&2; then
        UV=.tools/lib/bin/uv
    elif runs uv; then
        say "Using the uv on PATH instead."
        UV=uv
    else
        fail "uv could not be installed with $1." "It needs the venv module or pip (on Debian: python3-venv), and the network this once."
    fi
}

sync() { # $1: a Python
    UV_PYTHON_DOWNLOADS=never "$UV" sync --frozen --extra local --python "$1"
}

if up_to_date; then exit 0; fi
[ "$(uname -s)" = Linux ] || say "headrace: only Linux is tried; this is $(uname -s)."
python=$(find_python)
get_uv "$python"
writable_cache
rm -f "$STAMP"
say "Setting up .venv with $python: about 190 MB of servers and model, and 90 MB of libraries (once; then from uv's cache)."
if ! sync "$python"; then
    say "Trying again with what uv has in its cache..."
    UV_OFFLINE=1
    export UV_OFFLINE
    sync "$python" ||
        fail "the environment could not be set up." "The first set-up needs the network and about 1.2 GB of disk; then run the same command again."
fi
wanted_stamp .venv/bin/python >"$STAMP"
