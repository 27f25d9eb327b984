#!/usr/bin/env bash
# Formatter, linter, types, borders and generated files. Every part says what it finds, and one that finds something fails the check.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0
node node_modules/typescript-native/bin/tsc -p tsconfig.json || failed=1
biome ci --colors=off --error-on-warnings . || failed=1
tsx scripts/import-cycles.ts || failed=1
tsx scripts/code-shape.ts || failed=1
tsx scripts/generate.ts --check || failed=1
exit "$failed"
