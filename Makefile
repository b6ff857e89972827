# make demo    see it work: build, back up a real tree, restore it, compare (no questions asked)
# make test    every test, system tests with real daemons and a real PostgreSQL included
# make lint    format, clippy, house rules, licences
# make bench   Holdfast beside its peers on the same corpora (root; scripts/install-bench.sh first)
# make build   release binaries in target/release

CARGO ?= cargo
PEERS ?= holdfast,restic,borg,rsync+special+sparse,tar,cp
CORPORA ?= small,large,quirks

.PHONY: demo test test-build lint bench build deps
.DEFAULT_GOAL := build

build: deps
	$(CARGO) build --locked --release --workspace --bins

demo:
	scripts/demo.sh

# System tests start the daemons they find in target/debug, so these are built first.
test-build: deps
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace --no-run

test: test-build
	$(CARGO) test --locked --workspace --no-fail-fast

lint:
	$(CARGO) fmt --all --check
	$(CARGO) xtask tidy
	$(CARGO) xtask licences
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --log-level error check bans licenses sources; fi
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

bench: build
	bench/prepare.sh "$(CORPORA)"
	bench/run.py --peers "$(PEERS)" --corpora "$(CORPORA)" --skip-missing
	bench/report.py --ratios

deps:
	@scripts/install-deps.sh
