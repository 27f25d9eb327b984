/** What is made from the `.proto` files: types by proto-loader's own generator, the descriptor, and names of the messages. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { temporaryFolder } from '../src/temporary.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const protos = 'src/p4runtime/proto';
const main = 'p4/v1/p4runtime.proto';

/** Where all of it lies; nothing else does. */
export const generatedFolder = `${protos}/generated`;

const generator = join(root, 'node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js');
/** 64-bit numbers as `Long`, which tells them from strings: `messages.ts` makes bigints of them. */
const options = ['--enums=String', '--defaults', '--includeComments', '--importFileExtension=.ts'];

function generatedTypes(): Record<string, string> {
  using folder = temporaryFolder();
  execFileSync(process.execPath, [generator, ...options, '-I', protos, '-O', folder.path, main], {
    cwd: root,
    stdio: 'pipe',
  });
  const files = readdirSync(folder.path, { recursive: true, encoding: 'utf8' }).filter((f) =>
    f.endsWith('.ts'),
  );
  // The root of all services names nothing that is used here.
  const used = files.filter((f) => f !== 'p4runtime.ts');
  return Object.fromEntries(used.map((f) => [f, readFileSync(join(folder.path, f), 'utf8')]));
}

function loaded(): protobuf.Root {
  const schema = new protobuf.Root();
  schema.resolvePath = (_, target) =>
    target.startsWith('google/protobuf/') ? target : join(root, protos, target);
  schema.loadSync(main).resolveAll();
  return schema;
}

const isNamespace = (o: protobuf.ReflectionObject): o is protobuf.NamespaceBase =>
  o instanceof protobuf.Namespace;

function messagesIn(space: protobuf.NamespaceBase): readonly protobuf.Type[] {
  return space.nestedArray.flatMap((o) => [
    ...(o instanceof protobuf.Type ? [o] : []),
    ...(isNamespace(o) ? messagesIn(o) : []),
  ]);
}

/** Types in full, so that nobody has to search scopes; the one field that Google's own file writes otherwise in camelCase. */
function descriptorText(schema: protobuf.Root): string {
  for (const message of messagesIn(schema))
    for (const field of message.fieldsArray)
      if (field.resolvedType !== null) field.type = field.resolvedType.fullName.slice(1);
  const json = JSON.stringify(schema.toJSON({ keepComments: false }));
  return [
    '// Generated from the .proto files beside it by `npm run generate`.',
    "import type { Descriptor } from '../descriptor.ts';",
    '',
    '/** All packages of P4Runtime, as protobufjs has them. */',
    'export const descriptor: Descriptor = {',
    ...json
      .replaceAll('"type_url":', '"typeUrl":')
      .slice(1, -1)
      .replaceAll(/"(\w+)":\{"(fields|oneofs|edition|methods|values)"/g, '\n"$1":{"$2"')
      .split('\n')
      .map((line) => `  ${line}`.trimEnd()),
    '};',
    '',
  ].join('\n');
}

const packages = { V1: 'p4.v1', ConfigV1: 'p4.config.v1', Rpc: 'google.rpc', Protobuf: 'google.protobuf' };

/** `p4.v1.FieldMatch.LPM` stands in the file of `FieldMatch`, under a name that says its place. */
function namesText(schema: protobuf.Root): string {
  const imports: string[] = [];
  const interfaces = Object.entries(packages).map(([title, name]) => {
    const space = schema.lookup(name);
    if (space === null || !isNamespace(space)) throw new Error(`there is no package ${name}`);
    const lines = messagesIn(space).map((message) => {
      const short = message.fullName.slice(name.length + 2);
      const [outer] = short.split('.');
      const nested = short.includes('.');
      const type = nested ? `_${message.fullName.slice(1).replaceAll('.', '_')}__Output` : `${outer}__Output`;
      const local = nested ? type : `${title}_${type}`;
      imports.push(
        `import type { ${nested ? type : `${type} as ${local}`} } from './${name.replaceAll('.', '/')}/${outer}.ts';`,
      );
      return `  '${short}': ${local};`;
    });
    return [
      `/** Messages of \`${name}\`, as proto-loader has them. */`,
      `export interface ${title} {`,
      ...lines,
      '}',
      '',
    ];
  });
  return [
    '// Generated from the .proto files by `npm run generate`.',
    ...imports.sort(),
    '',
    ...interfaces.flat(),
  ].join('\n');
}

/** Path to text, below `generatedFolder`. */
export function generatedProto(): Readonly<Record<string, string>> {
  const schema = loaded();
  return { ...generatedTypes(), 'names.ts': namesText(schema), 'descriptor.ts': descriptorText(schema) };
}
