import type { Argv } from 'yargs';
import type {
  ControllerAddress,
  ControllerClient,
  ShownObject,
  SourceDocument,
} from '../../../daemon/client/index.ts';
import { type Kind, kindNamed, kindNames, namesOf } from '../../../daemon/manifests/kind-names.ts';
import { DiagnosticError, printableLines } from '../../../diagnostics/index.ts';
import { suggestions } from '../../../p4runtime/suggestions.ts';
import { type Io, printJson } from '../../io.ts';
import { type ArgumentsOf, lastOf, lastTextOption } from '../../options.ts';
import { UsageError } from '../../usage.ts';

/** Where a controller is, and what it is shown. */
export const controllerAddressOptions = <T>(y: Argv<T>) =>
  y
    .option(
      'controller',
      lastTextOption(
        'Where the controller is: unix:/path, http://HOST:PORT or https://HOST:PORT; default INTRANSIT_CONTROLLER, or its usual socket',
      ),
    )
    .option(
      'token-file',
      lastTextOption(
        'File with its token; default INTRANSIT_TOKEN_FILE, or what a controller of this machine wrote',
      ),
    )
    .option('tls-ca', lastTextOption('Who signed its certificate, PEM'))
    .option('tls-cert', lastTextOption('Our certificate, PEM'))
    .option('tls-key', lastTextOption('Its key, PEM'));

/** Of a command that asks a controller. */
export type ControllerArguments = ArgumentsOf<typeof controllerAddressOptions>;

/** The same, for a command that takes a list of words. */
export const controllerOptions = <T>(y: Argv<T>) =>
  controllerAddressOptions(
    // The parser takes words of a list for one word again and again, and would keep the last.
    y.parserConfiguration({ 'duplicate-arguments-array': true }),
  );

/** Of `-o`: `wide` is a table with more columns, `name` one KIND/NAME a line. */
export const OUTPUTS = ['table', 'wide', 'yaml', 'json', 'name'] as const;
/** How objects are printed. */
export type Output = (typeof OUTPUTS)[number];

/** `-o FORMAT`, and `--json` for it; of several the last counts. */
export const outputOption = <T>(y: Argv<T>) =>
  y
    .option('output', {
      alias: 'o',
      choices: OUTPUTS,
      default: 'table' as const,
      describe: 'How it is printed',
      requiresArg: true,
      coerce: lastOf<Output>,
    })
    .option('json', { type: 'boolean', default: false, describe: 'As -o json' });

/** `--json` goes before `-o`. */
export const outputOf = ({ output, json }: ArgumentsOf<typeof outputOption>): Output =>
  json ? 'json' : output;

/** Documents of a command that reads files. */
export const fileOption = <T>(y: Argv<T>) =>
  y.option('file', {
    alias: 'f',
    type: 'string',
    array: true,
    describe: 'File or folder of manifests, YAML or JSON; - is standard input; once for each',
    requiresArg: true,
  });

/** Of a command that reads documents. */
export type FileArguments = ArgumentsOf<typeof fileOption>;

/** @throws UsageError */
export function filesOf({ file }: FileArguments): readonly string[] {
  if (file === undefined || file.length === 0) throw new UsageError('name what to read: -f FILE');
  return file;
}

/**
 * Does what a command does with a controller; what that refuses becomes diagnostics at the places of the documents.
 * @throws DiagnosticError
 */
export async function withController<T>(
  a: ControllerArguments,
  work: (client: ControllerClient) => Promise<T>,
  documents: readonly SourceDocument[] = [],
): Promise<T> {
  // Other commands start faster without it.
  const { ControllerClient, ControllerRefused, defaultController, faultDiagnostics } = await import(
    '../../../daemon/client/index.ts'
  );
  const { tokenFile, tlsCa, tlsCert, tlsKey } = a;
  const address: ControllerAddress = {
    url: a.controller ?? defaultController(),
    tokenFile,
    tlsCa,
    tlsCert,
    tlsKey,
  };
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError('a certificate needs both --tls-cert and --tls-key');
  try {
    return await work(new ControllerClient(address));
  } catch (error) {
    if (error instanceof ControllerRefused)
      throw new DiagnosticError(faultDiagnostics(error.faults, documents));
    throw error;
  }
}

/** @throws UsageError */
export function kindOf(word: string): Kind {
  const kind = kindNamed(word);
  if (kind !== undefined) return kind;
  const near = suggestions(
    word,
    kindNames.flatMap((k) => [k, namesOf[k].plural]),
  );
  const known = kindNames.map((k) => namesOf[k].plural).join(', ');
  throw new UsageError(
    `there is no kind ${word}${near.length > 0 ? `; is ${near[0]} meant?` : `: kinds are ${known}`}`,
  );
}

/** Objects that words of the command line name: one, or without a name all of a kind. */
export interface Target {
  readonly kind: Kind;
  readonly name?: string;
}

/** `devices`, `device s1 s2`, `device/s1 worker/w1`. @throws UsageError */
export function targetsOf(words: readonly string[]): readonly Target[] {
  const [first, ...rest] = words;
  if (first === undefined)
    throw new UsageError(`name a kind: ${kindNames.map((k) => namesOf[k].plural).join(', ')}`);
  if (first.includes('/'))
    return words.map((word) => {
      const [, kind, name] = /^([^/]+)\/([^/]+)$/.exec(word) ?? [];
      if (kind === undefined || name === undefined) throw new UsageError(`${word}: must be KIND/NAME`);
      return { kind: kindOf(kind), name };
    });
  const kind = kindOf(first);
  return rest.length === 0 ? [{ kind }] : rest.map((name) => ({ kind, name }));
}

/** The kind or the object that words name, for a query; nothing without words. @throws UsageError where they name several */
export function queryOf(words: readonly string[] | undefined, several: string): Readonly<Partial<Target>> {
  const targets = words === undefined || words.length === 0 ? [] : targetsOf(words.map(String));
  if (targets.length > 1) throw new UsageError(several);
  return targets[0] ?? {};
}

/** In the API, from its root on. */
export const pathOf = ({ kind, name }: Target): string =>
  `/api/v1alpha1/${namesOf[kind].plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;

/** Long lines stay whole; characters that a terminal would obey are escaped. */
export async function yamlOf(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  return printableLines(stringify(value, { lineWidth: 0 }));
}

/** One document, or with several ones a list of them. */
export async function printDocument(io: Io, output: 'json' | 'yaml', value: unknown): Promise<void> {
  if (output === 'json') printJson(io, value);
  else io.out(await yamlOf(value));
}

/** As commands print it and take it. */
export const objectName = ({ kind, metadata }: ShownObject): string => `${kind}/${metadata.name}`;
