#!/usr/bin/env bash
# Makes requirements.lock anew from pyproject.toml: every package that running, the demo, the tests
# and the checks need, with version and hashes, and without the address of any package index.
# Keeps pins that still fit; `make lock ARGS=--upgrade` moves all of them to the newest.
set -euo pipefail
umask 022
cd "$(dirname "$0")/../.."

# The oldest supported Python: what it can install, the newer ones can install too.
readonly python=${PYTHON:-python3.11}
readonly tool=pip-tools==7.6.2

if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    echo "requirements.lock is made with Python 3.11, and $python is not one." \
        "Name one: make lock PYTHON=/path/to/python3.11" >&2
    exit 1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/environment"
"$scratch/environment/bin/pip" --disable-pip-version-check --quiet install "$tool"

cp requirements.lock "$scratch/requirements.lock" 2>/dev/null || true
CUSTOM_COMPILE_COMMAND="make lock" "$scratch/environment/bin/pip-compile" "$@" \
    --quiet --generate-hashes --strip-extras --allow-unsafe --extra demo --extra prometheus --extra kubernetes \
    --extra backtest --extra dask --extra dev \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
    --output-file "$scratch/requirements.lock" pyproject.toml

if grep -nE '://|^--' "$scratch/requirements.lock"; then
    echo "requirements.lock would name an address or an option of pip (lines above); not written" >&2
    exit 1
fi
cp "$scratch/requirements.lock" requirements.lock
echo "requirements.lock pins $(grep -c '==' requirements.lock) packages"
