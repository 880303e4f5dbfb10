#!/usr/bin/env bash
# Installs the programs that building and testing need and this machine lacks:
# with apt, as root or through sudo. Prints nothing when there is nothing to do.
set -euo pipefail

if ! command -v go >/dev/null; then
  echo "Go is missing: install Go 1.26 or later from https://go.dev/dl/ and put it on PATH." >&2
  exit 1
fi

# program:package. The race detector links with a C compiler. Without the wanted
# ones some tests are skipped, and say so.
needs=(make:make git:git rg:ripgrep gcc:gcc)
wants=(chromium:chromium node:nodejs npm:npm strace:strace redis-server:redis-server dockerd:docker.io runsc:runsc)
packages=() required=0
for need in "${needs[@]}"; do
  command -v "${need%%:*}" >/dev/null || packages+=("${need##*:}")
done
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v initdb >/dev/null || packages+=(postgresql)
if command -v gcc >/dev/null && ! echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1; then
  packages+=(libc6-dev)
elif ! command -v gcc >/dev/null; then
  packages+=(libc6-dev)
fi
required=${#packages[@]}
for want in "${wants[@]}"; do
  command -v "${want%%:*}" >/dev/null || packages+=("${want##*:}")
done
[ ${#packages[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  [ "$required" -gt 0 ] || { echo "not installed, as that takes an administrator: ${packages[*]}"; exit 0; }
  echo "These packages are missing and cannot be installed from here: ${packages[*]}" >&2
  echo "Install them as an administrator (Debian: apt-get install ${packages[*]}) and try again." >&2
  exit 1
fi

echo "installing ${packages[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
    -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 "$@" </dev/null >"$log" 2>&1 ||
    { cat "$log" >&2; exit 1; }
}
apt update
apt install --no-install-recommends "${packages[@]}"
