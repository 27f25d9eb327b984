#!/usr/bin/env bash
# Installs what the project needs and builds it; does nothing where all is there. Debian 12 or later, as root or with sudo.
# Node.js is the machine's own where that is new enough, else a package of the npm registry, kept inside the checkout.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(clang gcc libc6-dev libbpf1 libbpf-dev bpftool iproute2 ethtool make git procps)
# For the tests over a network: Mininet without Open vSwitch, which is only recommended.
packages+=(mininet iputils-ping)

readonly oldest_node=20 own_node=22.23.3
# The Makefile puts it before the machine's.
readonly node_folder=.setup/node

sudo=$([ "$(id -u)" = 0 ] || echo sudo)
updated=
# Installs those of the named packages that are not there.
install() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "installing ${missing[*]}" >&2
  [ -n "$updated" ] || $sudo apt-get update -qq
  updated=yes
  $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL="${RUNLEVEL:-}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

node_is_new() {
  node -e "process.exit(Number(process.versions.node.split('.')[0]) >= $oldest_node ? 0 : 1)" 2>/dev/null
}

install "${packages[@]}"

# With `--tests`, what only tests want: a store of several controllers, and a browser. Where they cannot be had, those tests are skipped
# aloud. A run level of 1 keeps Debian from starting a service of etcd's.
if [ "${1:-}" = --tests ]; then
  for package in etcd-server chromium strace; do
    RUNLEVEL=1 install "$package" || echo "setup: $package cannot be installed; tests that need it are skipped" >&2
  done
  exit 0
fi

if ! node_is_new; then
  # npm brings the distribution's Node.js along, which may already do.
  command -v npm >/dev/null || install npm ca-certificates
  if ! node_is_new; then
    case $(uname -m) in
      x86_64) machine=x64 ;;
      aarch64) machine=arm64 ;;
      *)
        echo "setup: Node.js $oldest_node or later is needed, and there is no package of it for $(uname -m)" >&2
        exit 1
        ;;
    esac
    echo "installing Node.js $own_node into $node_folder" >&2
    mkdir -p "$node_folder"
    npm install --prefix .setup --no-save --ignore-scripts --no-audit --no-fund --loglevel=error \
      "node-linux-$machine@$own_node"
    ln -sfn "../node_modules/node-linux-$machine/bin" "$node_folder/bin"
    PATH=$PWD/$node_folder/bin:$PATH
    node_is_new || {
      echo "setup: Node.js $own_node does not run on this machine" >&2
      exit 1
    }
  fi
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
