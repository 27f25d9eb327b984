import { firstSlotOf } from '../../../dataplane/abi.ts';
import {
  classCounter,
  classes,
  classMeter,
  flowCounter,
  flowCounterOf,
  flowDigest,
  flowModel,
  flowModelOf,
  flowSecret,
  limitedCounter,
  MARK,
  treat,
  treatWays,
  untreated,
} from '../../common/flow/tables.ts';
import type { Printer } from '../../common/printer.ts';
import { type ActionModel, cross, drop, ports, type TableModel } from '../../common/table-model.ts';
import { SCRATCH } from '../code.ts';
import { hexId } from '../print-program.ts';
import { FLOW } from './p4-printer.ts';
import type { V1modelFlowPlan } from './plan.ts';
import { secretBits, usualSecret } from './tables.ts';

/** `MeterColor_t.RED` of v1model. */
const RED = 2;

const printName = (p: Printer, id: number, name: string): Printer =>
  p.line(`@id(${hexId(id)})`).line(`@name(".${name}")`);

/** @param as its name in the program, where that is another than a controller's */
function printAction(
  p: Printer,
  { id, name, parameters }: ActionModel,
  lines: readonly string[],
  as = name,
): void {
  printName(p, id, name);
  p.block(`action ${as}(${parameters.map((q) => `bit<${q.bits}> ${q.name}`).join(', ')})`, () => {
    for (const line of lines) p.line(line);
  }).line();
}

/** @param initial what it does without an entry */
function printTable(p: Printer, t: TableModel, key: string | undefined, initial: string): void {
  printName(p, t.id, t.name);
  p.block(`table ${t.name}`, () => {
    if (key !== undefined) p.block('key =', () => p.line(`${key}: exact @name("${t.keys[0]!.name}");`));
    p.block('actions =', () => {
      for (const a of t.actions) p.line(`${a.name};`);
      if (!t.actions.includes(t.defaultAction)) p.line(`@defaultonly ${t.defaultAction.name};`);
    });
    p.line(`${initial};`).line(`size = ${t.size};`);
  }).line();
}

/** A table without a key, by the names that it has where a model stands alone. */
function printOwnTable(
  p: Printer,
  t: TableModel,
  alone: TableModel,
  lines: readonly string[],
  initial: string,
): void {
  const [as, name] = [alone.defaultAction.name, alone.name];
  printAction(p, t.defaultAction, lines, as);
  printName(p, t.id, t.name);
  p.block(`table ${name}`, () => {
    p.block('actions =', () => p.line(`${as};`));
    p.line(`default_action = ${as}(${initial});`).line(`size = ${t.size};`);
  }).line();
}

/** Counters, meter and tables of what is done with packets by their class, and of their ports. */
export function printClasses(p: Printer): void {
  const named = (id: number, name: string) => printName(p, id, name);
  for (const { id, name, size } of [classCounter, limitedCounter]) {
    named(id, name);
    p.line(`counter(${size}, CounterType.packets_and_bytes) ${name};`);
  }
  named(classMeter.id, classMeter.name);
  p.line(`meter(${classMeter.size}, MeterType.bytes) ${classMeter.name};`)
    .line('bit<32> color;')
    .line('FlowMark() marker;')
    .line();
  printAction(p, cross, ['standard.egress_spec = port;']);
  printAction(p, drop, ['mark_to_drop(standard);']);
  printTable(
    p,
    { ...ports, defaultAction: drop },
    'standard.ingress_port',
    `const default_action = ${drop.name}()`,
  );
  printAction(p, untreated, []);
  printAction(
    p,
    treat,
    treat.parameters.map(({ name }) => `${FLOW}.${name} = ${name};`),
  );
  printTable(p, classes, `${FLOW}.class`, `const default_action = ${untreated.name}()`);
}

/** Counts of packets by what becomes of them. @param model which of several */
export function printCounts(p: Printer, model = 0): void {
  const { id, name, size } = flowCounterOf(model);
  printName(p, id, name).line(`counter(${size}, CounterType.packets) ${flowCounter.name};`);
}

/** The table that says which slot classifies. @param model which of several */
export function printModelSlot(p: Printer, model = 0): void {
  printOwnTable(p, flowModelOf(model), flowModel, [`${SCRATCH}.slot = slot;`], `${firstSlotOf(model)}`);
}

/** The bucket of a key, by what nobody knows who chooses addresses. @param model which of several */
export function printSecret(p: Printer, plan: V1modelFlowPlan, model = 0): void {
  const bits = secretBits(plan);
  const low = bits - Math.log2(plan.buckets);
  const product = `(factor * (bit<${bits}>)${FLOW}.match[${plan.keyBits - 1}:0] + start)`;
  const usual = usualSecret(plan).map((value) => `${bits}w${value}`);
  printOwnTable(
    p,
    flowSecret(bits, model),
    flowSecret(bits),
    [`${FLOW}.index = (bit<32>)${product}[${bits - 1}:${low}];`],
    usual.join(', '),
  );
}

/**
 * What is done with a packet that has a verdict; and where it goes, as all others. The order is that of ebpf/intransit_flow_act.h.
 * @param features P4 of all of them as one number
 * @param again what is done with a packet that has told of another flow's end, and goes on with a second pass
 */
export function printTreatment(p: Printer, features: string, again?: readonly string[]): void {
  const toPort = `${ports.name}.apply();`;
  // A flow that was found over has no packet: the one that showed it goes on with its own.
  const ifItsOwn = (body: () => void): void => {
    if (again === undefined) {
      body();
      return;
    }
    p.block(
      `if (${FLOW}.gone == 1)`,
      () => {
        for (const line of again) p.line(line);
      },
      '} else {',
    );
    p.indent(body).line('}');
  };
  const index = `(bit<32>)${FLOW}.class`;
  p.block(
    `if (${FLOW}.verdict[16:16] == 1)`,
    () => {
      p.line(`${FLOW}.class = ${FLOW}.verdict[15:8];`);
      const count = () => p.line(`${classCounter.name}.count(${index});`);
      if (again === undefined) count();
      else p.block(`if (${FLOW}.gone == 0)`, count);
      p.block(
        `if (${classes.name}.apply().hit)`,
        () => {
          p.block(`if (${FLOW}.told == 1 && ${FLOW}.tell != 0)`, () => {
            const { name } = flowDigest(1, 0);
            p.line(`digest<${name}>(1, {`);
            p.indent(() => {
              for (const field of digestFields(features)) p.line(field);
            }).line('});');
          });
          ifItsOwn(() => {
            p.line(`${classMeter.name}.execute_meter(${index}, color);`);
            p.block(
              `if (color == ${RED})`,
              () => p.line(`${limitedCounter.name}.count(${index});`).line('mark_to_drop(standard);'),
              '} else {',
            );
            p.indent(() => printWays(p, toPort)).line('}');
          });
        },
        '} else {',
      );
      p.indent(() => ifItsOwn(() => p.line(toPort))).line('}');
    },
    '} else {',
  );
  p.indent(() => ifItsOwn(() => p.line(toPort))).line('}');
}

function printWays(p: Printer, toPort: string): void {
  p.block(`if (${FLOW}.session != 0)`, () => p.line(`clone(CloneType.I2E, (bit<32>)${FLOW}.session);`));
  p.block(`if (${FLOW}.mark >= ${MARK})`, () => {
    p.line(`marker.apply(hdr, ${FLOW}.mark[5:0]);`);
  });
  p.block(
    `if (${FLOW}.way == ${treatWays.drop})`,
    () => p.line('mark_to_drop(standard);'),
    `} else if (${FLOW}.way == ${treatWays.redirect}) {`,
  );
  p.indent(() => p.line(`standard.egress_spec = ${FLOW}.port;`)).line('} else {');
  p.indent(() => p.line(toPort)).line('}');
}

/** As the digest has them: the client is who sent the flow's first packet. */
function digestFields(features: string): string[] {
  const [source, destination] = ['source', 'destination'] as const;
  const end = (own: string, other: string) => `(${FLOW}.reply == 0 ? ${own} : ${other})`;
  const port = (name: string) => `${FLOW}.port_${name}[15:0]`;
  const fields = [
    `${FLOW}.class`,
    `${FLOW}.verdict[7:0]`,
    `${FLOW}.ip_version[7:0]`,
    `${FLOW}.ip_protocol[7:0]`,
    end(`${FLOW}.${source}`, `${FLOW}.${destination}`),
    end(port(source), port(destination)),
    end(`${FLOW}.${destination}`, `${FLOW}.${source}`),
    end(port(destination), port(source)),
    features,
  ];
  return fields.map((field, i) => (i < fields.length - 1 ? `${field},` : field));
}
