import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { type Document, isNode, isPair, LineCounter, parseAllDocuments } from 'yaml';
import {
  type Diagnostic,
  type DiagnosticCode,
  DiagnosticError,
  diagnostic,
  diagnosticTable,
  refuse,
} from '../../diagnostics/index.ts';
import { readBytes, readText } from '../../files.ts';
import { isYamlDeep } from '../../import/json/bounds.ts';
import { pathText } from '../../import/json/parse.ts';
import type { Fault } from '../manifests/fault.ts';
import type { ControllerClient } from './client.ts';

/** A manifest as it stands in a file. */
export interface SourceDocument {
  readonly file: string;
  readonly value: unknown;
  /** `net.yaml:12:5`, of the nearest thing on the path that is written. */
  readonly place: (path: readonly PropertyKey[]) => string;
}

/** YAML aliases multiply what is read. */
const MOST_ALIASES = 100;
const MANIFESTS: ReadonlySet<string> = new Set(['.yaml', '.yml', '.json']);

/** Manifests of files, of folders with such, and of standard input (`-`). @throws DiagnosticError with every fault */
export function readDocuments(names: readonly string[]): readonly SourceDocument[] {
  const files = names.flatMap(filesOf);
  const documents = files.flatMap((file) => parseDocuments(textOf(file), file === '-' ? 'stdin' : file));
  if (documents.length === 0) refuse('manifest-empty', {}, { file: names.join(', ') });
  return documents;
}

function filesOf(name: string): readonly string[] {
  const isFolder = name !== '-' && statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isFolder) return [name];
  return readdirSync(name)
    .filter((file) => MANIFESTS.has(extname(file)))
    .sort()
    .map((file) => join(name, file));
}

const textOf = (file: string): string => (file === '-' ? readFileSync(0, 'utf8') : readText(file));

/** YAML of several documents, or JSON; lists of objects (`kind: List`, or an array) are taken apart. */
export function parseDocuments(text: string, file: string): readonly SourceDocument[] {
  const lines = new LineCounter();
  const parsed = parsedDocuments(text, file, lines);
  const faults = parsed.flatMap((d) => d.errors.slice(0, 1));
  if (faults.length > 0)
    throw new DiagnosticError(
      faults.map(({ message, pos }) => {
        const { line, col } = lines.linePos(pos[0]);
        const reason = message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
        return diagnostic('manifest-syntax', { reason }, { file: `${file}:${line}:${col}` });
      }),
    );
  return parsed.flatMap((document) => {
    const value = contentOf(document, file);
    if (value === null || value === undefined) return [];
    const place = (path: readonly PropertyKey[]) => placeIn(document, path, file, lines);
    const [items, prefix] = itemsOf(value);
    if (items === undefined) return [{ file, value, place }];
    return items.map((item, i) => ({
      file,
      value: item,
      place: (path: readonly PropertyKey[]) => place([...prefix, i, ...path]),
    }));
  });
}

function parsedDocuments(text: string, file: string, lineCounter: LineCounter): readonly Document[] {
  if (isYamlDeep(text)) refuse('manifest-syntax', { reason: 'it is nested too deep' }, { file });
  try {
    const parsed = parseAllDocuments(text, { lineCounter, prettyErrors: true });
    return Array.isArray(parsed) ? parsed : [];
  } catch (error) {
    return refuse(
      'manifest-syntax',
      { reason: error instanceof RangeError ? 'it is nested too deep' : String(error) },
      { file },
    );
  }
}

function contentOf(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (error) {
    return refuse(
      'manifest-syntax',
      { reason: error instanceof Error ? error.message : String(error) },
      { file },
    );
  }
}

function itemsOf(value: unknown): readonly [readonly unknown[] | undefined, readonly PropertyKey[]] {
  if (Array.isArray(value)) return [value, []];
  if (typeof value !== 'object' || value === null || !('kind' in value) || value.kind !== 'List')
    return [undefined, []];
  return 'items' in value && Array.isArray(value.items) ? [value.items, ['items']] : [undefined, []];
}

function placeIn(document: Document, path: readonly PropertyKey[], file: string, lines: LineCounter): string {
  for (let length = path.length; length >= 0; length--) {
    const offset = offsetOf(document, path.slice(0, length));
    if (offset === undefined) continue;
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  }
  return file;
}

/** Of a field its name is pointed at, of an item of a list the item. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  if (path.length === 0) return document.contents?.range?.[0];
  const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const key = path.at(-1);
  if (typeof parent !== 'object' || parent === null || !('items' in parent)) return undefined;
  const items = parent.items as readonly unknown[];
  if (typeof key === 'number') {
    const item = items[key];
    return isNode(item) ? item.range?.[0] : undefined;
  }
  const pair = items.find((item) => isPair(item) && isNode(item.key) && String(item.key) === key);
  return isPair(pair) && isNode(pair.key) ? pair.key.range?.[0] : undefined;
}

/**
 * Files that versions name, relative to their manifests, are handed over; their digests stand in the documents then.
 * @throws DiagnosticError where a file cannot be read
 */
export async function withFiles(
  client: ControllerClient,
  documents: readonly SourceDocument[],
): Promise<readonly unknown[]> {
  return Promise.all(documents.map((document) => withFile(client, document)));
}

async function withFile(client: ControllerClient, { file, value }: SourceDocument): Promise<unknown> {
  const spec = field(value, 'spec');
  const named = field(spec, 'file');
  if (field(value, 'kind') !== 'ModelVersion' || typeof named !== 'string' || named === '') return value;
  const path = resolve(file === 'stdin' ? '.' : dirname(file), named);
  const digest = await client.sendFile(readBytes(path, 'model'));
  const { file: _, ...rest } = spec as Readonly<Record<string, unknown>>;
  const name = path.slice(path.lastIndexOf('/') + 1);
  return { ...(value as object), spec: { ...rest, source: { name, digest } } };
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

/** What the controller found wrong, with the places of the files. */
export const faultDiagnostics = (
  faults: readonly Fault[],
  documents: readonly SourceDocument[] = [],
): readonly Diagnostic[] =>
  faults.map(({ index, object, path, code, message, remedy }) => {
    const document = index === undefined ? undefined : documents[index];
    // The daemon speaks of `source` where the file says `file`.
    const isSource = path[0] === 'spec' && path[1] === 'source';
    const place = document?.place(
      isSource && field(field(document.value, 'spec'), 'file') !== undefined ? ['spec', 'file'] : path,
    );
    const where = [object, path.length === 0 ? undefined : pathText(path)].filter(
      (part) => part !== undefined,
    );
    return {
      code: isCode(code) ? code : 'controller-refused',
      severity: 'error',
      message: [...(document === undefined ? [] : where), message].join(': '),
      ...(remedy !== undefined && { remedy }),
      place: place === undefined ? {} : { file: place },
    };
  });

const isCode = (code: string): code is DiagnosticCode => Object.hasOwn(diagnosticTable, code);
