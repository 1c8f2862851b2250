#!/usr/bin/env bash
# Makes the virtual environment at $1 hold what requirements.lock pins, with this checkout installed
# into it (editable). Run by `make setup`; safe to run again.
# PYTHON names the interpreter to use; without it the first of the usual names that is new enough.
set -euo pipefail
umask 022
cd "$(dirname "$0")/../.."

readonly environment=${1:?usage: python_environment.sh DIRECTORY}
readonly minimum=3.11

is_new_enough() {
    "$1" -c "import sys; sys.exit(sys.version_info < (${minimum/./, }))" >/dev/null 2>&1
}

find_interpreter() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "Foresail needs Python $minimum or newer, and ${PYTHON:-python3} is" \
        "$("${PYTHON:-python3}" --version 2>/dev/null || echo not there)." \
        "Install one (Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv)" \
        "or name it: make setup PYTHON=/path/to/python3" >&2
    return 1
}

make_environment() {
    local interpreter
    interpreter=$(find_interpreter)
    if ! "$interpreter" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$interpreter cannot make virtual environments: its modules venv and ensurepip are" \
            "missing. On Debian and Ubuntu: apt-get install python3-venv" >&2
        return 1
    fi
    echo "Making $environment with $("$interpreter" --version)"
    "$interpreter" -m venv --clear "$environment"
}

install_packages() {
    local pip=("$environment/bin/python" -m pip --disable-pip-version-check --no-input install)
    [ -t 1 ] || pip+=(--quiet) # a person sees the downloads move, a log does not need them
    echo "Installing the packages of requirements.lock (one to three minutes the first time)"
    "${pip[@]}" --require-hashes -r requirements.lock
    "${pip[@]}" --no-deps --no-build-isolation -e .
}

is_new_enough "$environment/bin/python" || make_environment
install_packages
