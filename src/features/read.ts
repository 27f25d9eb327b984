import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse as parseYaml, YAMLParseError } from 'yaml';
import type { z } from 'zod';
import { DiagnosticError, diagnostic, refuse } from '../diagnostics/index.ts';
import { readText } from '../files.ts';
import { isYamlDeep, MOST_DEPTH } from '../import/json/bounds.ts';
import { expectation, MOST_FAULTS, pathText } from '../import/json/parse.ts';
import { GALLERY_DIR } from '../paths.ts';
import { checkDefinition, type FeatureDefinition } from './definition.ts';
import { featuresSchema } from './definition-schema.ts';

/** Bytes of a feature file; a larger one is not one. */
const MOST_BYTES = 1 << 20;
/** YAML aliases multiply what is read: a file of ours needs none to speak of. */
const MOST_ALIASES = 100;

/** Names of the ready-made definitions. */
export const galleryNames = (): readonly string[] =>
  readdirSync(GALLERY_DIR)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => basename(name, '.yaml'))
    .sort();

/** A definition by the name of a file, or of one of the gallery. @throws DiagnosticError with every fault */
export function readFeatures(nameOrFile: string): FeatureDefinition {
  const isName = /^[\w-]+$/.test(nameOrFile) && !existsSync(nameOrFile);
  if (!isName) return parseFeatures(readText(nameOrFile), nameOrFile);
  const known = galleryNames();
  if (!known.includes(nameOrFile)) refuse('features-unknown', { name: nameOrFile, known });
  const file = join(GALLERY_DIR, `${nameOrFile}.yaml`);
  return parseFeatures(readText(file), file);
}

/** YAML or JSON text to a checked definition. @throws DiagnosticError with every fault */
export function parseFeatures(text: string, file: string): FeatureDefinition {
  const result = featuresSchema.safeParse(parseYamlDocument(text, file));
  if (!result.success)
    throw new DiagnosticError(
      result.error.issues
        .flatMap(closest)
        .slice(0, MOST_FAULTS)
        .map((issue) =>
          diagnostic('features-field', { path: pathText(issue.path), what: expectation(issue) }, { file }),
        ),
    );
  const checked = checkDefinition(result.data, file);
  if (Array.isArray(checked)) throw new DiagnosticError(checked.slice(0, MOST_FAULTS));
  return checked as FeatureDefinition;
}

/** Of a choice of forms the faults of the one that was meant: which knows all fields that are there, if any does. */
function closest(issue: z.core.$ZodIssue): readonly z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.find(
    (form) =>
      form.length > 0 &&
      form.every((i) => i.code !== 'unrecognized_keys' && i.path.length > 0) &&
      form.length === 1,
  );
  if (meant === undefined) return [issue];
  return meant.flatMap((inner) => closest({ ...inner, path: [...issue.path, ...inner.path] }));
}

/** YAML or JSON text to what it says. @throws DiagnosticError `features-syntax` */
export function parseYamlDocument(text: string, file: string): unknown {
  if (text.length > MOST_BYTES)
    refuse('features-syntax', { reason: `is larger than ${MOST_BYTES} bytes` }, { file });
  if (isYamlDeep(text))
    refuse('features-syntax', { reason: `it is nested deeper than ${MOST_DEPTH} levels` }, { file });
  try {
    return parseYaml(text, { maxAliasCount: MOST_ALIASES, uniqueKeys: true, logLevel: 'error' });
  } catch (error) {
    if (error instanceof YAMLParseError && error.code === 'DUPLICATE_KEY') {
      const [{ line, col }] = error.linePos!;
      const name = /^["']?([^\s:"'{},]*)/.exec(text.slice(error.pos[0]))?.[1] ?? '';
      refuse('features-twice', { name, line, column: col }, { file });
    }
    const reason = error instanceof YAMLParseError ? error.message.split('\n')[0]! : (error as Error).message;
    return refuse('features-syntax', { reason }, { file });
  }
}
