#!/usr/bin/env bash
# Runs every test and writes go's JSON for gotestsum, which sums up both parts as
# one: with the race detector, and without it those packages that do little but
# run commands in the sandbox, or mgx itself, whose whole job in one process is watched
# apart. Each of those commands begins by running the test
# binary again, and under the race detector that takes ten times as long. SQLite
# itself is C made into Go, with a heap of its own that the detector does not watch,
# and takes six times as long when it is asked about each access; what calls it is
# watched. Nothing is vetted here: scripts/check.sh has done that, and more thoroughly.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

slow='^mgx/(cmd/mgx|internal/(git|sandbox/(native|off|docker|gvisor)))$'
long='^mgx/internal/(web|store|api)$' # they begin first, or all would wait for the last of them
all=$(go list ${PKG:-./...}) || exit 1
raced=$(grep -Ev "$slow" <<<"$all")
raced=$(grep -E "$long" <<<"$raced"; grep -Ev "$long" <<<"$raced")
plain=$(grep -E "$slow" <<<"$all")

# No debugger reads these tests, and half of what the API takes to compile is what is
# put into each route instead of called.
race=(-race -gcflags 'all=-dwarf=false' -gcflags 'mgx/internal/api=-dwarf=false -l')
for part in sqlite/lib libc memory; do race+=(-gcflags "modernc.org/$part=-dwarf=false -race=false -d=checkptr=0"); done

status=0
# shellcheck disable=SC2086 # lists of words
if [ -n "$raced" ]; then
  go test -json -vet=off "${race[@]}" -shuffle=on -timeout=20m ${TESTFLAGS:-} $raced || status=1
fi
if grep -q '^mgx/cmd/mgx$' <<<"$plain"; then
  go test -json -vet=off "${race[@]}" -timeout=10m -run '^TestDemoInProcess$' ./cmd/mgx || status=1
fi
# These wait for commands and servers more than they compute.
# shellcheck disable=SC2086
if [ -n "$plain" ]; then
  go test -json -vet=off -shuffle=on -timeout=20m -parallel="$((2 * $(nproc)))" ${TESTFLAGS:-} $plain || status=1
fi
# Modules of their own hold ours against others: our wire dialects against the
# official SDKs, our wake-ups against a NATS server. What they require follows from
# what mgx requires now, so it may change in a copy.
if [ "${PKG:-./...}" = ./... ]; then
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  for apart in internal/llm/oracle internal/store/nats/natstest; do
    cp "$apart"/go.{mod,sum} "$copy"
    # shellcheck disable=SC2086
    (cd "$apart" && go test -json -vet=off -modfile="$copy/go.mod" -mod=mod -timeout=15m ${TESTFLAGS:-} ./...) || status=1
  done
fi
exit $status
