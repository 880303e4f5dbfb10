#!/usr/bin/env bash
# What must be clean before a test is worth running. Each check says how to mend
# what it finds; all of them run, so that one round shows everything.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
tool() { go tool -modfile=tools/go.mod "$@"; }
failed=0
fail() {
  printf 'check: %s\n%s\n\n' "$1" "$2" >&2
  failed=1
}

tool gofumpt -version >/dev/null 2>&1 # what go says when it downloads a tool is no finding
found=$(tool gofumpt -l . 2>&1)
[ -z "$found" ] || fail "not formatted; run: go tool -modfile=tools/go.mod gofumpt -w ." "$found"
found=$(go mod tidy -diff 2>&1) || fail "go.mod or go.sum is not tidy; run: go mod tidy" "$found"
found=$(go vet ./... 2>&1) || fail "go vet" "$found"
found=$(cd bench && go vet ./... 2>&1) || fail "go vet in bench/, a module of its own" "$found"
# Later versions of go know more fixes; what they find is news, not a fault.
[[ $(go env GOVERSION) != go1.26* ]] || found=$(go fix -diff ./... 2>&1) || fail "newer Go says it better; run: go fix ./..." "$found"
found=$(tool staticcheck ./... 2>&1) || fail "staticcheck" "$found"
found=$(cd tools && go run ./bundle -check 2>&1) || fail "the console's bundle is old; run: make web" "$found"
for script in scripts/*.sh .ci/run; do
  found=$(bash -n "$script" 2>&1) || fail "shell syntax" "$found"
done
[ "$failed" = 0 ] && echo "checked: format, go.mod, vet, fix, staticcheck, bundle, scripts"
exit "$failed"
