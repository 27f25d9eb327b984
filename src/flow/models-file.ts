import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import { documentHead } from '../features/document-head.ts';
import { parseYamlDocument } from '../features/index.ts';
import { selectorSchema } from '../features/selector.ts';
import { readText } from '../files.ts';
import { expectation, MOST_FAULTS, pathText } from '../import/json/parse.ts';

/**
 * The one definition of a file of several models: which packets each is for, and what classifies packets of which the flow
 * has no place. `schema/models.schema.json` is generated from it; docs/classify.md explains it.
 */

const file = z.string({ error: 'expected the name of a file' }).min(1);
const model = {
  model: file.describe('ONNX, TFLite or JSON; beside this file, unless the name is absolute'),
  features: file.describe('A feature file, or the name of a ready-made one'),
  classes: z
    .array(z.string().min(1).max(100))
    .min(2)
    .max(256)
    .optional()
    .describe(
      "Names of the classes in the order of the model's numbers, where neither model nor features have any",
    ),
};

const modelsSchema = z
  .strictObject({
    ...documentHead('FlowModels'),
    spec: z.strictObject({
      models: z
        .array(
          z.strictObject({
            name: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'expected small letters, digits and -'),
            ...model,
            when: selectorSchema
              .optional()
              .describe('Packets that the model is for; the first model that is for a packet gets it'),
          }),
        )
        .min(1)
        .max(8),
      collided: z
        .strictObject(model)
        .optional()
        .describe('What classifies packets whose flow has found no place: by the packet alone'),
    }),
  })
  .describe('Models of flows beside each other: docs/classify.md');

/** JSON Schema of a file of models, for editors. */
export const modelsSchemaText = (): string =>
  `${JSON.stringify(z.toJSONSchema(modelsSchema, { io: 'input', target: 'draft-2020-12' }), undefined, 2)}\n`;

/** A file of several models as read, with its defaults filled in. */
export type ModelsFile = z.output<typeof modelsSchema>;

/** Reads a file of models; names of files within it become paths. @throws DiagnosticError with every fault */
export function readModelsFile(name: string): ModelsFile {
  const result = modelsSchema.safeParse(parseYamlDocument(readText(name), name));
  const fault = (path: string, what: string) => diagnostic('models-field', { path, what }, { file: name });
  if (!result.success)
    throw new DiagnosticError(
      result.error.issues
        .slice(0, MOST_FAULTS)
        .map((issue) => fault(pathText(issue.path), expectation(issue))),
    );
  const { models, collided } = result.data.spec;
  const twice = models.findIndex((m, i) => models.findIndex((other) => other.name === m.name) < i);
  if (twice >= 0)
    throw new DiagnosticError([fault(`spec.models[${twice}].name`, `${models[twice]!.name} is there twice`)]);
  const at = (path: string) => (isAbsolute(path) ? path : join(dirname(name), path));
  const isName = (text: string) => /^[\w-]+$/.test(text);
  const placed = <M extends { readonly model: string; readonly features: string }>(m: M): M => ({
    ...m,
    model: at(m.model),
    features: isName(m.features) ? m.features : at(m.features),
  });
  return {
    ...result.data,
    spec: { models: models.map(placed), collided: collided && placed(collided) },
  };
}
