#!/usr/bin/env bash
# Makes the npm package p4runtime-js of src/p4runtime in a directory: `npm publish DIR` or `npm pack DIR` then.
set -euo pipefail
target=$(realpath -m "${1:?usage: package-p4runtime.sh DIR}")
cd "$(dirname "$0")/.."
mkdir -p "$target"
npx tsc -p tsconfig.p4runtime.json --outDir "$target/dist"
cp src/p4runtime/package.json LICENSE "$target"
cp docs/p4runtime.md "$target/README.md"
