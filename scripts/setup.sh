#!/usr/bin/env bash
# Installs what the project needs and builds it; does nothing where all is there. Debian 12 with Node 20, as root or
# with sudo.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(clang gcc libc6-dev libbpf1 libbpf-dev bpftool iproute2 ethtool make)
# For the tests over a network: Mininet without Open vSwitch, which is only recommended.
packages+=(mininet iputils-ping)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  echo "installing ${missing[*]}" >&2
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' 2>/dev/null; then
  echo 'setup: Node.js 20 or later is needed: https://nodejs.org' >&2
  exit 1
fi

# npm writes this file last, so it is newer than the lock file only after a whole install.
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
  echo 'installing npm packages' >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi

npm run --silent build
# So that `npx intransit` works from the checkout.
mkdir -p node_modules/.bin
ln -sf ../../dist/cli/main.js node_modules/.bin/intransit
