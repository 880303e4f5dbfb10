#!/usr/bin/env bash
# fuzz.sh TIME [PACKAGE…]: runs every fuzz target for TIME each (30s, or 2000x for
# a number of inputs), one at a time.
# A failing input is kept by go under the package's testdata/fuzz; commit it.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: fuzz.sh TIME [PACKAGE…]}
shift
[ $# -gt 0 ] || set -- ./...

# go test -list prints a package's targets and then its "ok" line.
list=$(go test -list '^Fuzz' "$@")
targets=$(awk '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }' <<<"$list")
[ -n "$targets" ] || { echo "no fuzz targets in $*"; exit 0; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
count=0
while read -r package name; do
  # Minimising inputs that are merely interesting would eat the time.
  if ! go test -run='^$' -fuzz="^$name\$" -fuzztime="$time" -fuzzminimizetime=20x -timeout=0 "$package" >"$log" 2>&1 </dev/null; then
    # Go takes the end of the time for a failure when it falls into a call. A
    # failure of the target itself names its input or its line.
    if ! grep -q 'context deadline exceeded' "$log" || grep -qE 'Failing input|panic|fuzz_test|_test\.go' "$log"; then
      cat "$log"
      echo "fuzz: $package $name failed"
      exit 1
    fi
  fi
  count=$((count + 1))
  printf 'fuzz: %s %s: %s\n' "$package" "$name" "$(grep -o 'execs: [0-9]*' "$log" | tail -n 1)"
done <<<"$targets"
echo "fuzzed $count targets for $time each"
