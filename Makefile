# Two commands matter: `go run ./cmd/mgx demo` and `make test`.
# The rest is for those who change MGX; see CONTRIBUTING.md.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

# A checkout may belong to somebody else (containers, CI); git then refuses to
# tell go what was built, and go refuses to build. `make build` asks git itself.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

TOOL := go tool -modfile=tools/go.mod
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

PKG ?= ./...
FUZZTIME ?= 30s
BENCH ?= .
BENCHTIME ?= 200ms
BENCHFLAGS ?=
LOADFLAGS ?=
SCREENSHOTS ?=
TESTFLAGS ?=

.NOTPARALLEL:
.PHONY: help test check docs sdk web build demo console screenshots bench bench-peers load load-check fuzz kill walls walls-unified soak need

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

test: need check sdk ## install what is missing, check, compare what requests cost, run every test with the race detector
	@[ "$(PKG)" != ./... ] || $(MAKE) load-check
	@PKG="$(PKG)" TESTFLAGS="$(TESTFLAGS)" $(TOOL) gotestsum --format pkgname --format-hide-empty-pkg --raw-command -- scripts/gotest.sh

check: ## formatting, vet, staticcheck, go fix, go.mod
	@scripts/check.sh

docs: ## generate docs/reference, the TypeScript types, the lock of event contracts and the table of docs/sandbox.md
	@go generate ./internal/event
	@MGX_UPDATE=1 go test -count=1 -timeout=30m -run '^Test(Lite)?Walls|^Test(Docker|Podman|GVisor)(AsAnOrdinaryUser)?$$' ./internal/sandbox/native ./internal/sandbox/docker ./internal/sandbox/gvisor
	@MGX_UPDATE=1 go test -count=1 -run '^TestTable$$' ./internal/sandbox/native
	@MGX_UPDATE=1 go test -count=1 -run '^TestDocumentIsCurrent$$' ./internal/api

sdk: ## check the AsyncAPI document; build and test the TypeScript client
	@scripts/sdk.sh

web: ## bundle what the console loads, from internal/web/ui into internal/web/static
	@cd tools && go run ./bundle

build: ## the static binary, bin/mgx
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/mgx ./cmd/mgx

demo: ## the main job on a sample repository, with a scripted model
	@go run ./cmd/mgx demo

bench: ## every benchmark (BENCH, BENCHTIME, PKG), built as MGX is, with the conditions it ran under
	@scripts/conditions.sh
	@CGO_ENABLED=0 go test -run='^$$' -bench='$(BENCH)' -benchtime=$(BENCHTIME) -benchmem $(PKG) | { grep -v -e '^PASS$$' -e 'no test files' || true; }

bench-peers: ## MGX beside Redis Streams and NATS JetStream (BENCHFLAGS=-small tries it; -peers names some); needs redis-server
	@scripts/conditions.sh
	@cd bench && go run . $(BENCHFLAGS)

console: ## what pages of the console take: 10,000 runs, a run of 50,000 events, and both in Chromium
	@scripts/conditions.sh
	@MGX_SOAK=1 go test -count=1 -v -run='^TestLongRun$$' -bench='^Benchmark(RunsPage|LongRunPages|Interactive|LongRunScroll)$$' -benchtime=20x ./internal/web | grep -v '^=== '

screenshots: ## how every page of the console looks at 360, 1280 and 2560 pixels, light and dark, in SCREENSHOTS (a new directory, which is printed)
	@dir="$(SCREENSHOTS)"; [ -n "$$dir" ] || dir=$$(mktemp -d -t mgx-screenshots.XXXXXX); echo "$$dir"; MGX_SCREENSHOTS="$$dir" go test -count=1 -timeout=60m -run='^TestScreenshots$$' ./internal/web

load: build ## a server under 50 to 500 people at once (LOADFLAGS=-length=2s tries it)
	@scripts/conditions.sh
	@cd bench && go run ./load -mgx ../bin/mgx $(LOADFLAGS)

load-check: ## hold what requests cost against bench/load/baseline.json, as multiples of a reference in the same run
	@bin=$$(mktemp -d); trap 'rm -rf "$$bin"' EXIT; go build -o "$$bin/mgx" ./cmd/mgx && cd bench && go run ./load -mgx "$$bin/mgx" -check=load/baseline.json

fuzz: ## every fuzz target for FUZZTIME each
	@scripts/fuzz.sh $(FUZZTIME) $(PKG)

kill: ## kill -9 a run at every one of its events, and resume it; a server at every commit of every write route, on both databases (make test does a sample)
	@MGX_KILL=all go test -count=1 -timeout=120m -run 'Killed|TwoProcesses' ./cmd/mgx

walls: ## every test of the sandbox in Docker, Podman and gVisor (make test does every attack and a sample of the rest)
	@MGX_WALLS=1 go test -count=1 -timeout=30m ./internal/sandbox/docker ./internal/sandbox/gvisor

walls-unified: ## the walls on a machine with cgroups of version 2 alone, emulated by qemu: KERNEL=/boot/vmlinuz-…; scripts/cgroup2.sh says what it takes
	@scripts/cgroup2.sh "$(KERNEL)"

soak: ## kill servers, writers, readers and PostgreSQL for minutes; a reader 500,000 events behind; 90,000 model calls; a budget that killed processes share
	@MGX_SOAK=1 go test -v -count=1 -timeout=40m -run '^(TestSoak|TestFarBehind|TestCatchUpInBoundedMemory|TestBudgetAcrossProcesses|TestRetention|TestRetentionIsTheSameOnBoth|TestBackupRoundTrip|TestFlippedBitsAreFound|TestAnythingIsAnswered)$$' ./cmd/mgx ./client ./internal/api ./internal/llm ./internal/store | grep -v '^=== '

need:
	@scripts/need.sh
	@scripts/vault.sh >/dev/null || echo "HashiCorp Vault for tests could not be built; those tests are skipped"
