#!/usr/bin/env bash
# Holds the AsyncAPI document against AsyncAPI's own parser, and lints the OpenAPI
# document; builds and tests the TypeScript client; checks the types of the console's
# scripts. Needs npm, and a network only when a lock file has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
  echo "skipped: the AsyncAPI and OpenAPI documents and sdk/typescript are not tested, since npm is not installed (scripts/need.sh installs it)"
  exit 0
fi
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  echo "skipped: the AsyncAPI and OpenAPI documents and sdk/typescript are not tested, since they need Node 20 and this is $(node --version)"
  exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quiet() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
# Installs exactly what the lock file says, when something else is there.
install() {
  local out
  [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] || out=$(npm --prefix "$1" ci 2>&1) || { echo "$out" >&2; return 1; }
}

# Node has a list of authorities of its own; those that this machine trusts count too.
cas=/etc/ssl/certs/ca-certificates.crt
[ -n "${NODE_EXTRA_CA_CERTS:-}" ] || [ ! -r "$cas" ] || export NODE_EXTRA_CA_CERTS=$cas

installing=() # side by side, as they wait for the network
for package in tools/{asyncapi,axe,oidc,openapi} sdk/typescript; do
  install "$package" &
  installing+=($!)
done
for one in "${installing[@]}"; do wait "$one"; done
node tools/asyncapi/check.mjs docs/reference/asyncapi.json
quiet env REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true tools/openapi/node_modules/.bin/redocly lint --config tools/openapi/redocly.yaml docs/reference/openapi.json
quiet npm --prefix sdk/typescript run build
quiet sdk/typescript/node_modules/.bin/tsc -p internal/web/ui
quiet npm --prefix sdk/typescript test
grep -E '^(#|ℹ) (tests|pass|fail|skipped) ' "$log" | tr -d '#ℹ\n' | sed 's/^ */sdk\/typescript: /'
echo
