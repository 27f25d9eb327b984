#!/usr/bin/env bash
# Formatter, linter, types, borders and generated files. The types take as long as all else, so they go beside it; every part says
# what it finds, and one that finds something fails the check.
set -uo pipefail
cd "$(dirname "$0")/.."

types=$(mktemp)
tsc -p tsconfig.json >"$types" 2>&1 &
checking=$!
# An interrupt does not reach what runs in the background.
trap 'kill "$checking" 2>/dev/null; rm -f "$types"' EXIT

failed=0
biome ci --colors=off --error-on-warnings . || failed=1
tsx scripts/import-cycles.ts || failed=1
tsx scripts/code-shape.ts || failed=1
tsx scripts/generate.ts --check || failed=1
wait "$checking" || failed=1
cat "$types"
exit "$failed"
