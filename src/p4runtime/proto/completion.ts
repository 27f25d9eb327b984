import { CompiledFunctions } from './compiled.ts';
import type { FieldPlan, FieldType, MessagePlan } from './field-plan.ts';

/** What the functions of one decoding share. */
const shared = {
  /** Set where two members of one oneof were there. */
  twice: false,
  empty: new Uint8Array(0),
};

function defaultText(type: FieldType): string {
  if (type.kind === 'enum') return JSON.stringify(type.byNumber.get(0) ?? 0);
  if (type.kind === 'message') return 'undefined';
  switch (type.scalar) {
    case 'bool':
      return 'false';
    case 'string':
      return '""';
    case 'bytes':
      return 's.empty';
    case 'uint64':
    case 'int64':
      return '0n';
    default:
      return '0';
  }
}

/** From here on a new object with its final shape is cheaper than one that grows. */
const MANY = 4;

/** Sub-messages in place, so that a list or a oneof costs nothing but its members. */
function innerText({ name, rule }: FieldPlan, at: number): string {
  if (rule === 'one') return `if (m.${name} !== undefined) m.${name} = c[${at}](m.${name});`;
  const keys = rule === 'repeated' ? `m.${name}.keys()` : `Object.keys(m.${name})`;
  if (rule === 'map') return `for (const k of ${keys}) m.${name}[k] = c[${at}](m.${name}[k]);`;
  return `for (let l = m.${name}, i = 0; i < l.length; i++) l[i] = c[${at}](l[i]);`;
}

/** Text of what completes one decoded message, and those in it; it gives the complete one, which may be the same object. */
function bodyOf(plan: MessagePlan): string {
  const { fields } = plan;
  const scalars = fields.filter(
    (f) => f.type.kind !== 'message' && f.rule === 'one' && f.oneof === undefined,
  );
  const oneofs = new Set(fields.flatMap((f) => f.oneof ?? []));
  const lines = fields.flatMap((f, at) => (f.type.kind === 'message' ? innerText(f, at) : []));
  for (const oneof of oneofs) {
    const members = fields.filter((f) => f.oneof === oneof);
    const there = members.map(({ name }) => `(m.${name} !== undefined)`).join(' + ');
    if (members.length > 1) lines.push(`if (${there} > 1) s.twice = true;`);
  }
  if (scalars.length < MANY) {
    for (const { name, type } of scalars)
      lines.push(`if (m.${name} === undefined) m.${name} = ${defaultText(type)};`);
    return [...lines, 'return m;'].join('\n');
  }
  const whole = fields.filter((f) => scalars.includes(f) || f.rule !== 'one');
  const parts = whole.map(({ name, type, rule }) =>
    rule === 'one'
      ? `${name}: m.${name} === undefined ? ${defaultText(type)} : m.${name}`
      : `${name}: m.${name}`,
  );
  lines.push(`const o = { ${parts.join(', ')} };`);
  for (const { name } of fields.filter((f) => !whole.includes(f)))
    lines.push(`if (m.${name} !== undefined) o.${name} = m.${name};`);
  return [...lines, 'return o;'].join('\n');
}

const functions = new CompiledFunctions(shared, bodyOf);

/**
 * Puts defaults where nothing was sent: scalars, as proto-loader leaves them out.
 * @returns undefined where two members of one oneof are there: which one counts, only the bytes tell
 */
export function completed(plan: MessagePlan, message: object): object | undefined {
  shared.twice = false;
  const whole = functions.of(plan)(message);
  return shared.twice ? undefined : whole;
}
