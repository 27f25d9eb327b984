#!/usr/bin/env bash
# Makes the npm package p4runtime-js of src/p4runtime in a directory: `npm publish DIR` or `npm pack DIR` then.
set -euo pipefail
target=$(realpath -m "${1:?usage: package-p4runtime.sh DIR}")
cd "$(dirname "$0")/.."
mkdir -p "$target"
rm -rf "$target/dist" "$target/proto"
node node_modules/typescript-native/bin/tsc -p tsconfig.p4runtime.json --outDir "$target/dist"
# The same for `require`: a folder of its own says what its files are.
node node_modules/typescript/bin/tsc -p tsconfig.p4runtime.json --outDir "$target/dist/cjs" --module commonjs --moduleResolution node10 \
  --verbatimModuleSyntax false --esModuleInterop
rm "$target"/dist/cjs/bin.*
printf '{ "type": "commonjs" }\n' > "$target/dist/cjs/package.json"
# tsc leaves the names of sources in declarations; what lies there are modules.
find "$target/dist" -name '*.d.ts' -exec sed -i -E "s#((from |import\()['\"]\.[^'\"]*)\.ts(['\"])#\1.js\3#g" {} +
chmod +x "$target/dist/bin.js"
mkdir -p "$target/proto"
cp -r src/p4runtime/proto/google src/p4runtime/proto/p4 "$target/proto"
cp src/p4runtime/package.json src/p4runtime/README.md LICENSE "$target"
