#!/usr/bin/env bash
# Sees to it that programs which no Python package brings are on the PATH. Arguments: names below.
# Installs what is missing with apt-get where it may (root, or sudo without a password); elsewhere it
# says in one sentence what to install and why, and fails.
set -euo pipefail
umask 022

# name | programs it must bring (or files, by their path) | Debian packages | what for | service the package would start
readonly known='
prometheus | prometheus promtool | prometheus | the tests run a real Prometheus against the metrics and check our pages with promtool | prometheus
node-exporter | prometheus-node-exporter | prometheus-node-exporter | the tests hold our reading of memory against a real node_exporter | prometheus-node-exporter
chromium | chromium | chromium | the tests look at the live page as a browser shows it |
gcc | gcc | gcc libc6-dev | the tests build a stand-in for the NVIDIA driver library |
openssl | openssl | openssl | the tests make a certificate for the gateway |
etcd | etcd | etcd-server | the tests run a real Kubernetes API server on it | etcd
ollama-headers | g++ /usr/include/nlohmann/json.hpp /usr/include/stb/stb_image.h | g++ nlohmann-json3-dev libstb-dev | Ollama is built from sources that include them |
'

field() { # NAME NUMBER
    awk -F ' *[|] *' -v name="$1" -v number="$2" '$1 == name { print $number }' <<<"$known"
}

missing_programs() { # NAME
    local program
    for program in $(field "$1" 2); do
        [[ $program == /* && -e $program ]] || command -v "$program" >/dev/null || echo "$program"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

may_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null >/dev/null
}

install_package() { # NAME
    local packages
    read -ra packages <<<"$(field "$1" 3)"
    echo "Installing from Debian: ${packages[*]}: $(field "$1" 4)"
    # The second try is for a machine whose package lists are empty or old.
    apt_get install -y --no-install-recommends "${packages[@]}" 2>/dev/null ||
        { apt_get update && apt_get install -y --no-install-recommends "${packages[@]}"; } || return
    stop_service "$(field "$1" 5)"
}

stop_service() { # NAME; the tests start their own, and nobody asked for one on the usual port
    if [ -n "$1" ] && [ -d /run/systemd/system ]; then
        as_root systemctl disable --quiet --now "$1" || true
    fi
}

provide() { # NAME
    local missing
    [ -n "$(field "$1" 1)" ] || { echo "unknown name $1; known are:$(names)" >&2; return 2; }
    missing=$(missing_programs "$1")
    [ -n "$missing" ] || return 0
    if may_install; then
        install_package "$1" || true # judged by what is there afterwards
        missing=$(missing_programs "$1")
        [ -n "$missing" ] || return 0
    fi
    echo "Not there: ${missing//$'\n'/, }. Please install what brings it: $(field "$1" 4)" \
        "(Debian and Ubuntu: apt-get install $(field "$1" 3))." >&2
    return 1
}

names() { awk -F ' *[|] *' 'NF > 1 { printf " %s", $1 }' <<<"$known"; }

[ $# -gt 0 ] || { echo "usage: system_packages.sh NAME...   known:$(names)" >&2; exit 2; }
status=0
for name in "$@"; do
    provide "$name" || status=$?
done
exit "$status"
