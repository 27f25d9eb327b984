import type { Printer } from '../../common/printer.ts';
import type { FlowFront } from './plan.ts';
import type { FlowRegister } from './registers.ts';
import type { Operand } from './sources.ts';

/** What a packet of a flow is to its registers: the first one of it, or a later one. */
const KNOWN = 1;
const FRESH = 2;

/** Bits of a field that holds a number: those of a container. */
export const fieldBits = (bits: number): number => (bits <= 8 ? 8 : bits <= 16 ? 16 : 32);

const textOf = (operand: Operand, bits: number): string => {
  if (operand.kind === 'constant') return `${operand.value}`;
  return fieldBits(operand.bits) === bits ? operand.text : `(bit<${bits}>)${operand.text}`;
};

/** P4 of the word with a later packet that counts. */
function nextText({ operation, operand, bits }: FlowRegister): string {
  const x = textOf(operand, bits);
  switch (operation.kind) {
    case 'add':
      return `kept |+| ${x}`;
    case 'min':
    case 'max':
      return `${operation.kind}(kept, ${x})`;
    case 'or':
      return `kept | ${x}`;
    case 'set':
      return x;
    case 'keep':
      return 'kept';
    case 'countTo':
      return 'kept + 1';
  }
}

/** P4 of the word with the first packet. */
function firstText(r: FlowRegister, counts: boolean): string {
  const initial = r.initial === 'operand' ? textOf(r.operand, r.bits) : `${r.initial}`;
  if (!counts || r.operation.kind === 'keep') return initial;
  return r.operation.kind === 'countTo' ? '1' : textOf(r.operand, r.bits);
}

/** What a register does with a packet: its name, P4 of it, and what an action sets besides. */
interface Step {
  readonly name: string;
  readonly lines: readonly string[];
  readonly told: string | undefined;
}

function stepsOf(r: FlowRegister): readonly Step[] {
  const before = r.tells === 'before';
  const { operation } = r;
  const bounded =
    operation.kind === 'countTo' ? `if (kept < ${operation.most}) { kept = kept + 1; }` : undefined;
  const change = bounded ?? `kept = ${nextText(r)};`;
  const next = before ? ['told = kept;', change] : [change, 'told = kept;'];
  const first = (counts: boolean): Step => {
    const kept = `kept = ${firstText(r, counts)};`;
    const name = counts ? 'first' : 'first_not';
    // Before the first packet there was what it begins with.
    return before && r.initial !== 'operand'
      ? { name, lines: [kept], told: `${r.initial}` }
      : { name, lines: [kept, 'told = kept;'], told: undefined };
  };
  const steps: Step[] = [
    { name: 'next', lines: operation.kind === 'keep' ? ['told = kept;'] : next, told: undefined },
    first(true),
  ];
  if (r.condition !== undefined)
    steps.push({ name: 'next_not', lines: ['told = kept;'], told: undefined }, first(false));
  return steps;
}

/** A register with its actions, and the table that chooses between them. */
export function printRegister(p: Printer, front: FlowFront, r: FlowRegister): void {
  const { definition, slotBits } = front;
  const word = `bit<${r.bits}>`;
  const types = `${word}, bit<${slotBits}>`;
  p.line(`Register<${types}>(${definition.table.flows}) ${r.name}_kept;`);
  for (const { name, lines, told } of stepsOf(r)) {
    p.block(
      `RegisterAction<${types}, ${word}>(${r.name}_kept) ${r.name}_${name} =`,
      () =>
        p.block(`void apply(inout ${word} kept${told === undefined ? `, out ${word} told` : ''})`, () => {
          for (const line of lines) p.line(line);
        }),
      '};',
    );
    const run = `${r.name}_${name}.execute(meta.slot);`;
    p.block(`action run_${r.name}_${name}()`, () => {
      if (told === undefined) p.line(`meta.${r.name} = ${run}`);
      else p.line(run).line(`meta.${r.name} = ${told};`);
    });
  }
  const flag = r.condition;
  const rows: [string, number, string?][] =
    flag === undefined
      ? [
          ['next', KNOWN],
          ['first', FRESH],
        ]
      : [
          ['next', KNOWN, '1'],
          ['next_not', KNOWN, '0'],
          ['first', FRESH, '1'],
          ['first_not', FRESH, '0'],
        ];
  const same = keyPairs(front).map((_, pair) => `meta.same_${pair}`);
  p.block(`table ${r.name}_steps`, () => {
    const keys = ['meta.fresh', ...same, ...(flag === undefined ? [] : [textOf(flag, 8)])];
    p.line(`key = { ${keys.map((k) => `${k}: exact;`).join(' ')} }`);
    p.line(`actions = { ${rows.map(([name]) => `run_${r.name}_${name};`).join(' ')} pass; }`);
    p.line('const default_action = pass();').line(`size = ${rows.length};`);
    p.block('const entries =', () => {
      for (const [name, state, counts] of rows) {
        const matched = [state, ...same.map(() => 1), ...(counts === undefined ? [] : [counts])];
        p.line(`(${matched.join(', ')}): run_${r.name}_${name}();`);
      }
    });
  }).line();
}

/** Words of the key by twos. */
export const keyPairs = ({ words }: Pick<FlowFront, 'words'>): (readonly string[])[] =>
  Array.from({ length: Math.ceil(words.length / 2) }, (_, pair) =>
    words.slice(2 * pair, 2 * pair + 2).map((w) => `meta.key_${w}`),
  );

/** Whose a place is: a hash of the key, and when it was last seen. What is found there before, or 0 where it stays another's. */
export function printOwners(p: Printer, { definition, slotBits, keep }: FlowFront): void {
  const types = `owner_t, bit<${slotBits}>`;
  p.line(`Register<${types}>(${definition.table.flows}, {1, -2147483648}) owners;`);
  p.block(
    `RegisterAction<${types}, int<32>>(owners) claim =`,
    () =>
      p.block('void apply(inout owner_t owner, out int<32> before)', () => {
        p.line('before = 0;');
        p.block(`if (owner.id == (int<32>)meta.id || owner.seen + ${keep} <= (int<32>)meta.now_high)`, () =>
          p
            .line('before = owner.id;')
            .line('owner.id = (int<32>)meta.id;')
            .line('owner.seen = (int<32>)meta.now_high;'),
        );
      }),
    '};',
  );
  p.line(`action tell_known() { meta.fresh = ${KNOWN}; }`)
    .line(`action tell_fresh() { meta.fresh = ${FRESH}; }`)
    .line();
}

/** Two words of the key, kept by the first packet and compared by all others. */
export function printKeyPair(
  p: Printer,
  { definition, slotBits }: FlowFront,
  pair: number,
  words: readonly string[],
): void {
  const [low, high] = words;
  const types = `pair_t, bit<${slotBits}>`;
  const act = (name: string, lines: readonly string[]) =>
    p.block(
      `RegisterAction<${types}, bit<8>>(key_${pair}) ${name}_key_${pair} =`,
      () =>
        p.block('void apply(inout pair_t kept, out bit<8> same)', () => {
          for (const line of lines) p.line(line);
        }),
      '};',
    );
  const equal = `kept.low == ${low}${high === undefined ? '' : ` && kept.high == ${high}`}`;
  p.line(`Register<${types}>(${definition.table.flows}) key_${pair};`);
  act('set', [`kept.low = ${low};`, `kept.high = ${high ?? 0};`, 'same = 1;']);
  act('check', [`if (${equal}) { same = 1; } else { same = 0; }`]);
  for (const name of ['set', 'check'])
    p.line(`action ${name}_${pair}() { meta.same_${pair} = ${name}_key_${pair}.execute(meta.slot); }`);
  p.block(`table key_${pair}_steps`, () => {
    p.line('key = { meta.fresh: exact; }').line(`actions = { set_${pair}; check_${pair}; pass; }`);
    p.line('const default_action = pass();').line('size = 2;');
    p.line(`const entries = { ${KNOWN}: check_${pair}(); ${FRESH}: set_${pair}(); }`);
  }).line();
}
