# Cairn. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo

.PHONY: help setup servers peers demo demo-kubernetes up-cluster test check nightly soak bench bless

help: ## Lists the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# SQLite is compiled from source, which needs a C compiler; the tidy test asks git for the files.
setup:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: install rustup, then the toolchain of rust-version in Cargo.toml" >&2; exit 1; }
	@missing=""; command -v cc >/dev/null || missing="gcc libc6-dev"; command -v git >/dev/null || missing="$$missing git"; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing $$missing" >&2; apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	  else echo "missing: $$missing. On Debian: sudo apt-get install $$missing" >&2; exit 1; fi; \
	fi

# nats-server, PostgreSQL, moto, libfaketime and Kubernetes into target/servers. Does nothing when they are there.
servers: setup ## Installs the real servers that tests and benchmarks run
	@./tests/servers/install.sh

# etcd's benchmark. Does nothing when it is there.
peers: setup ## Builds the servers of others that benchmarks measure beside Cairn
	@./tests/servers/peers.sh

demo: setup ## Deploys the sample shop into the simulated world and leaves it running (ONCE=1: exits)
	$(CARGO) build --locked -p cairn-cli
	./target/debug/cairn demo $(if $(ONCE),--once)

demo-kubernetes: servers ## The demo on a real Kubernetes, whose nodes and pods pretend (ONCE=1: exits)
	$(CARGO) build --locked -p cairn-cli -p cairn-servers
	@./target/debug/demo-kubernetes $(if $(ONCE),--once)

up-cluster: servers ## Three nats-servers, PostgreSQL and two processes of each role, until Ctrl-C
	$(CARGO) build --locked -p cairn-cli -p cairn-servers
	@./target/debug/up-cluster

test: servers ## Runs every test
	$(CARGO) test --workspace --locked --no-fail-fast

check: servers ## The fast half: format, lints and tests of the pure crate and the journal
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked -p cairn-domain -p cairn-journal --all-targets -- -D warnings
	$(CARGO) test --locked -p cairn-domain -p cairn-journal

nightly: servers ## Ten thousand changes on a real API server (TRANSITIONS: how many); `make test` makes five hundred
	CAIRN_TRANSITIONS=$(or $(TRANSITIONS),10000) $(CARGO) test --locked -p cairn-tests --test kubernetes -- sequences --nocapture

soak: servers ## A thousand failures of real processes under load (ROUNDS: how many), and what they cost
	CAIRN_ROUNDS=$(or $(ROUNDS),1000) $(CARGO) test --locked -p cairn-cli --test failures -- --nocapture

bench: servers peers ## Measures, each figure as a ratio to a raw baseline of the same run
	$(CARGO) build --locked --release -p cairn-cli -p cairn-bench
	./target/release/bench

bless: servers ## Rewrites the expected texts; read the diff
	BLESS=1 $(CARGO) test --workspace --locked
	git --no-pager diff --stat
