import { z } from 'zod';
import { featuresSchema } from './definition-schema.ts';
import { fields, PAYLOAD_BYTES } from './fields.ts';

/** docs/feature-fields.md: what expressions can name of a packet. */
export function fieldsDocs(): string {
  const rows = Object.entries(fields)
    .filter(([name]) => !name.startsWith('payload.byte'))
    .map(([name, f]) => `| \`${name}\` | 0..${f.most} | ${f.describe} |`);
  const payload = `| \`payload[0]\` to \`payload[${PAYLOAD_BYTES - 1}]\` | 0..255 | Bytes of the packet's payload, 0 where it is shorter |`;
  const lines = [
    '# Fields of packets',
    '',
    'Made from `src/features/fields.ts`; [features.md](features.md) tells how to use them. A field of a header that the packet',
    'lacks is 0. `time` is its arrival.',
    '',
    '| field | range | is |',
    '|---|---|---|',
    ...rows,
    payload,
  ];
  return `${lines.join('\n')}\n`;
}

/** JSON Schema of a feature file, for editors. */
export const featuresSchemaText = (): string =>
  `${JSON.stringify(z.toJSONSchema(featuresSchema, { io: 'input', target: 'draft-2020-12' }), undefined, 2)}\n`;
