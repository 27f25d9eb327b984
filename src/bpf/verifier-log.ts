/**
 * Reads the log of the kernel's verifier. At log level 1 it is a trace of the refused path: state lines, source lines
 * (`; text @ file:line`, the place since kernel 6.9), instructions (`12: (71) r0 = ...`), then the reason, and statistics:
 *
 *     1: (71) r0 = *(u8 *)(r1 +0)
 *     invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)
 *     R1 offset is outside of the packet
 *     processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 ...
 *
 * At level 4 it is the reason, if there is one, and the statistics.
 */

/** What it cost the verifier to pass a program, from the last lines of its log. */
export interface VerifierStats {
  /** Instructions that the verifier walked, over all paths; the kernel's limit is 1,000,000. */
  readonly verifiedInstructions: number;
  /** Bytes of stack of the main program and of each subprogram, in their order; the limit is 512 a chain of calls. */
  readonly stackBytes?: readonly number[];
  readonly verificationUs?: number;
}

/** Why the verifier refused a program, read from its log. */
export interface VerifierRefusal {
  /** One line: the reason, the instruction, its source line, and how far the verifier came. */
  readonly summary: string;
  /** The verifier's own words; its lines are joined by `; `. */
  readonly reason: string;
  readonly remedy: string;
  readonly instruction?: number;
  readonly source?: { readonly text: string; readonly file?: string; readonly line?: number };
  readonly processedInstructions?: number;
}

/** The reason stands at the end; a trace may have 16 MB, of which the rest is not worth the time. In characters. */
const TAIL = 256 * 1024;

const SOURCE_LENGTH = 120;

const INSTRUCTION = /^(\d+): \([0-9a-f]{2}\) /;
const SOURCE = /^;(.*?)(?: @ (\S+):(\d+))?$/;
const PROCESSED = /^processed (\d+) insns/m;
/** Registers and stack slots, jumps between traced pieces, calls, bookkeeping: all that is no reason. */
const STATE = [
  /^\s*(?:\d+: )?(?:frame\d+: ?)?(?:R\d+|fp-\d+)(?:_[rwP]+)?=/,
  /^\s*(?:\d+: )?frame\d+:\s*$/,
  /^(?:\d+: )?safe$/,
  /^(?:from|propagating|returning from|to caller at|caller|callee|cur state|old state)\b/,
  /^(?:func#|arg#|mark_precise|last_idx|regs=|parent|Validating |Func#\d+ .*is (?:safe|global and assumed))/,
  /^(?:processed \d|verification time|stack depth|insns? processed|-- )/,
];

/** The statistics of an accepted program; undefined if the log holds none. */
export function parseVerifierStats(log: string): VerifierStats | undefined {
  const processed = PROCESSED.exec(log);
  if (!processed) return undefined;
  const stack = /^stack depth (\d+(?:\+\d+)*)/m.exec(log);
  const time = /^verification time (\d+) usec/m.exec(log);
  return {
    verifiedInstructions: Number(processed[1]),
    ...(stack && { stackBytes: stack[1]!.split('+').map(Number) }),
    ...(time && { verificationUs: Number(time[1]) }),
  };
}

/** Why a program was refused; undefined if the log gives no reason (so it was not the verifier who refused). */
export function parseVerifierRefusal(log: string): VerifierRefusal | undefined {
  const tail = log.slice(-TAIL);
  const trace = readTrace(tail);
  if (trace.reasons.length === 0) return undefined;
  const reason = trace.reasons.slice(0, 3).join('; ').replace(/\.$/, '');
  const named = /\binsn (\d+)/.exec(reason)?.[1];
  const instruction = named === undefined ? trace.instruction : Number(named);
  // A long loop on one line of source names it once, far above the tail.
  const source = trace.source ?? sourceOf(SOURCE.exec(lastSourceLine(log)));
  const processed = PROCESSED.exec(tail)?.[1];
  const facts = {
    reason,
    ...(instruction !== undefined && { instruction }),
    ...(source && { source }),
    ...(processed && { processedInstructions: Number(processed) }),
  };
  return { ...facts, summary: summaryOf(facts), remedy: remedyFor(reason) };
}

/** The last instruction and source line of a trace, and the lines of the reason behind them. */
function readTrace(log: string) {
  let instruction: number | undefined;
  let source: VerifierRefusal['source'];
  let reasons: string[] = [];
  let ended = false;
  for (const line of log.split('\n').map((l) => l.trimEnd())) {
    const step = INSTRUCTION.exec(line);
    const place = SOURCE.exec(line);
    if (step) {
      instruction = Number(step[1]);
      reasons = [];
      ended = false;
    } else if (place) {
      source = sourceOf(place) ?? source;
    } else if (line === '') {
      // The newest kernels explain the reason at length behind an empty line.
      ended = reasons.length > 0;
    } else if (!ended && !STATE.some((pattern) => pattern.test(line))) {
      reasons.push(line);
    }
  }
  return { instruction, source, reasons };
}

/** The first line where there is no such, which then is no source line either. */
function lastSourceLine(log: string): string {
  const start = log.lastIndexOf('\n;') + 1;
  return log.slice(start, log.indexOf('\n', start));
}

/** Undefined also for code that clang made up, which has no text and line 0. */
function sourceOf(match: RegExpExecArray | null): VerifierRefusal['source'] {
  const text = match?.[1]?.trim();
  if (!match || !text) return undefined;
  const short = text.length > SOURCE_LENGTH ? `${text.slice(0, SOURCE_LENGTH)}...` : text;
  return { text: short, ...(match[2] !== undefined && { file: match[2], line: Number(match[3]) }) };
}

function summaryOf(facts: Omit<VerifierRefusal, 'summary' | 'remedy'>): string {
  const { reason, instruction, source, processedInstructions } = facts;
  const at = instruction === undefined ? '' : `, at instruction ${instruction}`;
  const place = source?.file === undefined ? '' : `, ${source.file}:${source.line}`;
  const text = source === undefined ? '' : ` \`${source.text}\``;
  const count =
    processedInstructions === undefined ? '' : ` (${processedInstructions} instructions processed)`;
  return `${reason}${at}${place}${text}${count}`;
}

const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/too large\. Processed|too complex|too many states/, 'use fewer branches, and bpf_loop for large loops'],
  [/outside of the packet|invalid access to packet/, 'compare the pointer with data_end before the access'],
  [/_or_null|map_value_or/, 'compare the pointer with NULL before the access'],
  [/access to map value/, 'bound the index by the size of the value, with a comparison or a mask'],
  [/unbounded|make pkt pointer be out of bounds/, 'bound the offset, with a comparison or a mask'],
  [/stack/, 'keep large data in a per-CPU map: the stack has 512 bytes over a chain of calls'],
  [/invalid func|unknown func/, 'use a newer kernel: this one has no such helper'],
  [/cannot use helper|helper call is not allowed/, 'use a helper that XDP programs may call'],
  [/back-edge|infinite loop/, 'give the loop a constant bound, or use bpf_loop'],
];

function remedyFor(reason: string): string {
  const known = REMEDIES.find(([pattern]) => pattern.test(reason));
  return known?.[1] ?? 'read the whole log, which traces the refused path';
}
