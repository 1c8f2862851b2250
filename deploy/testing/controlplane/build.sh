#!/usr/bin/env bash
# Builds kube-apiserver, kube-controller-manager and kube-scheduler for the tests, as one binary with three names.
#
#   deploy/testing/controlplane/build.sh DIRECTORY
#
# Needs Go 1.26 or later and its module proxy. On two cores the first build takes about ten minutes and leaves
# 0.8 GB of modules and 2.7 GB of build cache; a directory that has the binary already is left as it is.
set -euo pipefail

readonly VERSION=1.36.3
readonly MINOR=36
readonly PARTS=(kube-controller-manager kube-scheduler)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${1:?usage: build.sh DIRECTORY}

command -v go > /dev/null || { echo "build.sh: go is not installed; install Go 1.26 or later" >&2; exit 1; }
mkdir -p "$target"
target=$(cd "$target" && pwd)
[[ -x $target/kube-apiserver ]] && exit 0

module=$(mktemp -d)
trap 'rm -rf "$module"' EXIT
cd "$module"
cp "$here/main.go" .
go mod init foresail.test/controlplane 2> /dev/null
go mod edit -require="k8s.io/kubernetes@v$VERSION"

# Kubernetes replaces its own libraries by folders of its source tree. Such a line counts only in the main module,
# so each is replaced here by the release of that library.
go mod download -json "k8s.io/kubernetes@v$VERSION" > download.json
sources=$(sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p' download.json)
sed -n 's,^\t\(k8s\.io/[^ ]*\) => \./staging/.*,\1,p' "$sources" | while read -r library; do
	go mod edit -replace="$library=$library@v0.${VERSION#1.}"
done

go mod tidy > tidy.log 2>&1 || { tail -n 5 tidy.log >&2; exit 1; }
stamp=k8s.io/component-base/version
go build -trimpath -o kube-apiserver -ldflags \
	"-s -w -X $stamp.gitVersion=v$VERSION -X $stamp.gitMajor=1 -X $stamp.gitMinor=$MINOR" .

for part in "${PARTS[@]}"; do
	ln -sf kube-apiserver "$target/$part"
done
mv kube-apiserver "$target/" # last: its presence says that all is there
