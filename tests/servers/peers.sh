#!/usr/bin/env bash
# Builds what only the benchmarks run beside Cairn, into target/servers: the benchmark that comes with etcd. The servers
# that it measures are there for the tests already (install.sh). Go checks the modules against the go.sum.
#
#   target/servers/etcd-benchmark   what puts keys into etcd
set -euo pipefail
cd "$(dirname "$0")"

SERVERS="$PWD/../../target/servers"
# The root module, which has the benchmark, is published for few versions: this is the last. The server is newer.
ETCD=3.6.8

say() { echo "peers: $*" >&2; }

[ -x "$SERVERS/etcd-benchmark" ] && { say "etcd's benchmark $ETCD"; exit; }
program=$(command -v go || true)
[ -n "$program" ] || program="$SERVERS/go/go/bin/go"
say "building etcd's benchmark $ETCD"
(cd etcd-benchmark && GOFLAGS=-mod=readonly "$program" build -trimpath -ldflags "-s -w" -o "$SERVERS/etcd-benchmark" \
  go.etcd.io/etcd/v3/tools/benchmark) || say "it cannot be built: Go needs a module proxy to ask; the benchmark says what is absent"
