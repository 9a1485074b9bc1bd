#!/usr/bin/env bash
# Builds what the benchmarks measure beside Cairn, into target/servers: etcd, and the benchmark that comes with it.
# Go checks the modules against tests/servers/etcd/go.sum. No test needs it: where Go is missing that is said, and the
# benchmark says that etcd is absent.
#
#   target/servers/etcd             the server
#   target/servers/etcd-benchmark   what puts keys into it
set -euo pipefail
cd "$(dirname "$0")/etcd"

SERVERS="$PWD/../../../target/servers"
# The root module, which has the benchmark, is published for few versions: this is the last.
VERSION=3.6.8

say() { echo "peers: $*" >&2; }

is_there() { [ -x "$SERVERS/etcd-benchmark" ] && "$SERVERS/etcd" --version 2>/dev/null | grep -qx "etcd Version: $VERSION"; }

if ! is_there; then
  command -v go >/dev/null || { say "etcd cannot be built: Go is missing (Debian: apt-get install golang-go)"; exit 0; }
  say "building etcd $VERSION"
  build="$SERVERS/etcd.part"
  mkdir -p "$build"
  GOFLAGS=-mod=readonly go build -trimpath -ldflags "-s -w" -o "$build/" \
    go.etcd.io/etcd/server/v3 go.etcd.io/etcd/v3/tools/benchmark \
    || { say "etcd cannot be built: Go needs a module proxy to ask, and a version that it can use"; exit 0; }
  mv -f "$build/server" "$SERVERS/etcd"
  mv -f "$build/benchmark" "$SERVERS/etcd-benchmark"
  rm -rf "$build"
fi
say "etcd $VERSION"
