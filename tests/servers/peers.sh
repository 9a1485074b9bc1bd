#!/usr/bin/env bash
# Builds what the benchmarks measure beside Cairn, into target/servers: etcd with the benchmark that comes with it, and
# Kubernetes' API server. Go checks the modules against the go.sum of each. No test needs them: where Go is missing or
# too old that is said, and the benchmark says what is absent. The API server takes some minutes and 3 GB the first time.
#
#   target/servers/etcd             the server
#   target/servers/etcd-benchmark   what puts keys into it
#   target/servers/kube-apiserver   Kubernetes' API server
set -euo pipefail
cd "$(dirname "$0")"

SERVERS="$PWD/../../target/servers"
# The root module, which has the benchmark, is published for few versions: this is the last.
ETCD=3.6.8
KUBERNETES=1.36.3

say() { echo "peers: $*" >&2; }

# Builds the packages of a folder's modules: folder, what it is called, flags of the linker, packages.
build() {
  local folder=$1 name=$2 flags=$3 part="$SERVERS/$1.part"
  shift 3
  command -v go >/dev/null || { say "$name cannot be built: Go is missing (Debian: apt-get install golang-go)"; return 1; }
  say "building $name"
  mkdir -p "$part"
  (cd "$folder" && GOFLAGS=-mod=readonly go build -trimpath -ldflags "-s -w $flags" -o "$part/" "$@") \
    || { say "$name cannot be built: Go needs a module proxy to ask, and a version that it can use"; return 1; }
}

etcd_is_there() { [ -x "$SERVERS/etcd-benchmark" ] && "$SERVERS/etcd" --version 2>/dev/null | grep -qx "etcd Version: $ETCD"; }
kubernetes_is_there() { [ "$("$SERVERS/kube-apiserver" --version 2>/dev/null)" = "Kubernetes v$KUBERNETES" ]; }

if ! etcd_is_there && build etcd "etcd $ETCD" "" go.etcd.io/etcd/server/v3 go.etcd.io/etcd/v3/tools/benchmark; then
  mv -f "$SERVERS/etcd.part/server" "$SERVERS/etcd"
  mv -f "$SERVERS/etcd.part/benchmark" "$SERVERS/etcd-benchmark"
  rm -rf "$SERVERS/etcd.part"
fi
if etcd_is_there; then say "etcd $ETCD"; fi

# Without these it calls itself v0.0.0.
VERSION="-X k8s.io/component-base/version.gitVersion=v$KUBERNETES -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"
if ! kubernetes_is_there && build kubernetes "kube-apiserver $KUBERNETES" "$VERSION" k8s.io/kubernetes/cmd/kube-apiserver; then
  mv -f "$SERVERS/kubernetes.part/kube-apiserver" "$SERVERS/kube-apiserver"
  rm -rf "$SERVERS/kubernetes.part"
fi
if kubernetes_is_there; then say "kube-apiserver $KUBERNETES"; fi
