#!/usr/bin/env bash
# fuzz.sh TIME [PACKAGE…]: runs every fuzz target for TIME each (30s, or 2000x for
# a number of inputs), as many packages at a time as there are processors.
# A failing input is kept by go under the package's testdata/fuzz; commit it.
# For a time, what new code an input reaches guides the next; for a number of inputs
# nothing does, as building everything again to see that takes longer than they do.
set -euo pipefail
cd "$(dirname "$0")/.."
export FUZZ_TIME=${1:?usage: fuzz.sh TIME [PACKAGE…]} FUZZ_KEPT
shift
[ $# -gt 0 ] || set -- ./...
FUZZ_KEPT=$(go env GOCACHE)/fuzz

# fuzz DIRECTORY PACKAGE TARGET… builds the tests of a package once, and runs its targets.
fuzz() {
  local dir=$1 package=$2 name
  shift 2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  local guided=(-fuzz=.)
  [[ $FUZZ_TIME != *x ]] || guided=()
  go test -c -vet=off "${guided[@]}" -o "$work/test" "$package" || return
  cd "$dir"
  for name; do
    # Minimising inputs that are merely interesting would eat the time.
    if ! "$work/test" -test.run='^$' -test.fuzz="^$name\$" -test.fuzztime="$FUZZ_TIME" -test.fuzzminimizetime=20x \
      -test.parallel=1 -test.timeout=0 -test.fuzzcachedir="$FUZZ_KEPT/$package" >"$work/log" 2>&1 </dev/null; then
      # Go takes the end of the time for a failure when it falls into a call. A
      # failure of the target itself names its input or its line.
      if ! grep -q 'context deadline exceeded' "$work/log" || grep -qE 'Failing input|panic|fuzz_test|_test\.go' "$work/log"; then
        cat "$work/log"
        echo "fuzz: $package $name failed"
        return 1
      fi
    fi
    printf 'fuzz: %s %s: %s\n' "$package" "$name" "$(grep -o 'execs: [0-9]*' "$work/log" | tail -n 1)"
  done
}
export -f fuzz

packages=() count=0
while read -r dir package; do
  targets=$(find "$dir" -maxdepth 1 -name '*_test.go' -exec sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' {} +)
  [ -n "$targets" ] || continue
  packages+=("$dir $package ${targets//$'\n'/ }")
  count=$((count + $(wc -w <<<"$targets")))
done < <(go list -f '{{.Dir}} {{.ImportPath}}' "$@")
[ "$count" -gt 0 ] || { echo "no fuzz targets in $*"; exit 0; }

# shellcheck disable=SC2016 # of the shell that xargs starts
printf '%s\n' "${packages[@]}" | xargs -P "$(nproc)" -d '\n' -n 1 bash -c 'set -euo pipefail; fuzz $0 || exit 255'
echo "fuzzed $count targets for $FUZZ_TIME each"
