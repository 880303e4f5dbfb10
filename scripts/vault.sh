#!/usr/bin/env bash
# Builds the HashiCorp Vault that tests of the key ring run against, and prints where it
# is: internal/secret/vaulttest/server, a module of its own, out of the public module of
# Vault. That takes three minutes or so of two cores, once; with --there it only looks.
#
# Vault 1.21.4 wants the sdk of its own commit, of which no version is published. The
# nearest one, 0.21.0, differs in two places. The build makes them so in a copy.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/internal/secret/vaulttest/server
sum=$({ cd "$here"; find . -type f | LC_ALL=C sort | xargs cat; cat "$root/scripts/vault.sh"; go env GOVERSION GOOS GOARCH; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/mgx-tests
binary=$cache/vault-$sum
if [ ! -x "$binary" ] && [ "${1:-}" = --there ]; then
  echo "the HashiCorp Vault of the tests is not built; scripts/vault.sh builds it" >&2
  exit 1
fi
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # one builds, the others wait for it
if [ ! -x "$binary" ]; then
  echo "building HashiCorp Vault for the tests of the key ring, once; this takes minutes" >&2
  work=$(mktemp -d "$cache/build-XXXXXX")
  trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
  cp -r "$here" "$work/server"
  cd "$work/server"
  # Nothing here changes how go's own packages are compiled, as mgx needs the same.
  export GOFLAGS='-mod=mod -buildvcs=false'
  sdk=$(go mod download -json github.com/hashicorp/vault/sdk@v0.21.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  cp -r "$sdk" "$work/sdk"
  chmod -R u+w "$work/sdk"
  sed -i 's/) RestorePolicy(/) restorePolicy(/' "$work/sdk/helper/keysutil/lock_manager.go"
  cat >>"$work/sdk/helper/keysutil/lock_manager.go" <<'GO'

func (lm *LockManager) RestorePolicy(ctx context.Context, storage logical.Storage, name, backup string, force bool) (string, error) {
	return name, lm.restorePolicy(ctx, storage, name, backup, force)
}
GO
  sed -i 's/ActivationFunc func(context.Context, \*logical.Request, string) error/ActivationFunc func(context.Context, *logical.Request) error/' "$work/sdk/framework/backend.go"
  echo 'replace github.com/hashicorp/vault/sdk => ../sdk' >>go.mod
  go build -ldflags='-s -w' -o "$work/vault" . >&2
  find "$cache" -maxdepth 1 -name 'vault-*' -mtime +7 -delete
  mv "$work/vault" "$binary"
fi
echo "$binary"
