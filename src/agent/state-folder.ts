/** What a device keeps on disk: which program runs, and all that was written. */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import {
  type AtomicFile,
  atomicFile,
  ensureFolder,
  errnoOf,
  LogUncertainError,
  messageOf,
  RecordLog,
  removeTree,
  replaceFile,
} from '../durable/index.ts';
import { type Change, type DeviceState, type Init, type Message, v1Codec } from '../p4runtime/index.ts';

const FORMAT = 'intransit-agent/2';
const PIPELINE_FORMAT = 'intransit-agent-pipeline/2';
const INDEX_FILE = 'agent.json';
/** Two of the same: it is written once, and nothing else could make it again. */
export const PIPELINE_FILES = ['pipeline.bin', 'pipeline-copy.bin'] as const;
const LOG_FILE = 'writes.log';
const [FOLDER_MODE, FILE_MODE] = [0o700, 0o600];
const GENERATION = /^[0-9a-f]{8}$/;

/** Kinds of records: the whole state; a group of Writes. */
const kinds = { state: 1, writes: 2 } as const;
/** So much more than the state itself may stand in the log before it is begun anew. */
const SLACK_BYTES = 256 * 1024;

const indexSchema = z.strictObject({
  format: z.literal(FORMAT),
  /** Names the folder of the state, and that of the pins. */
  generation: z.string().regex(GENERATION),
  checksum: z.string(),
});

const headSchema = z.object({
  format: z.literal(PIPELINE_FORMAT),
  /** Counts the generations. */
  number: z.int(),
  /** The kernel's hash of the program's instructions. */
  tag: z.string(),
});
type Head = z.infer<typeof headSchema>;

const configCodec = v1Codec('ForwardingPipelineConfig');
const writeCodec = v1Codec('WriteRequest');

const sha256 = (...parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** What an earlier process has left. */
export interface Kept {
  readonly generation: string;
  readonly config: Message<'ForwardingPipelineConfig'>;
  /** Of the program that it loaded. */
  readonly tag: string;
  /** In order; the last group may not have been applied. */
  readonly groups: readonly (readonly Change[])[];
  /** Whether `groups` are all that was written: `tail` where only the last may be missing, `lost` where any may. */
  readonly damage: 'tail' | 'lost' | undefined;
  /** Whether what was asked for was found only in the second place that was looked at. */
  readonly mended: readonly string[];
}

/** A generation that is on disk, but is not yet the one to begin with. */
export interface Staged {
  /** One rename. @throws Error of the system call: the generation before is still the one */
  activate(): void;
  discard(): void;
}

/**
 * A folder with one generation in use, named by `agent.json`: it is complete before it is named. A generation has the pipeline,
 * twice, and a log of what was written since. All of it has checksums.
 */
export class StateFolder {
  readonly path: string;
  #generation: string | undefined;
  #number = 0;
  #log: RecordLog | undefined;
  /** Bytes of the log at which it is begun anew. */
  #limit = 0;
  /** The log may hold what was refused, or lack what is so: it is begun anew before anything else is written. */
  #uncertain = false;

  constructor(path: string) {
    this.path = path;
  }

  get generation(): string | undefined {
    return this.#generation;
  }

  static newGeneration(): string {
    return randomBytes(4).toString('hex');
  }

  /**
   * @param attached tells which generation runs in the kernel, where the index does not
   * @returns undefined where nothing is kept, or nothing of use: `lost` says what
   */
  load(attached: () => string | undefined, lost: (what: string) => void): Kept | undefined {
    const mended: string[] = [];
    const found = this.#find(attached, lost, mended);
    if (found === undefined) return undefined;
    const { generation, head, config } = found;
    this.#generation = generation;
    this.#number = head.number;
    const { groups, damage } = this.#readLog(generation, lost);
    return { generation, config, tag: head.tag, groups, damage, mended };
  }

  /** A complete generation. @throws Error of the system call: nothing of it is left then */
  stage(generation: string, state: DeviceState, tag: string): Staged {
    ensureFolder(this.path, FOLDER_MODE);
    const folder = join(this.path, generation);
    let index: AtomicFile | undefined;
    let log: RecordLog;
    const discard = () => {
      index?.abandon();
      try {
        removeTree(folder);
      } catch {
        // The next generation takes it away.
      }
    };
    try {
      mkdirSync(folder, { mode: FOLDER_MODE });
      const head: Head = { format: PIPELINE_FORMAT, number: this.#number + 1, tag };
      this.#writePipelines(folder, encodePipeline(head, configCodec.encode(state.config)));
      const made = RecordLog.create(join(folder, LOG_FILE), [stateRecord(state)]);
      made.file.commit();
      made.file.abandon();
      log = made.log;
      index = atomicFile(join(this.path, INDEX_FILE), indexText(generation), { mode: FILE_MODE });
    } catch (error) {
      discard();
      throw error;
    }
    const file = index;
    return {
      discard,
      activate: () => {
        try {
          file.commit();
        } catch (error) {
          this.#nameAgain();
          throw error;
        }
        file.abandon();
        this.#generation = generation;
        this.#number++;
        this.#takeLog(log);
        this.#sweep();
      },
    };
  }

  /** Keeps a group of Writes that are about to be applied. @throws Error: they are not on disk then */
  async append(updates: readonly Init<'Update'>[]): Promise<void> {
    const log = this.#requiredLog();
    try {
      await log.append({ kind: kinds.writes, payload: writeCodec.encode({ updates }) });
    } catch (error) {
      this.#uncertain ||= error instanceof LogUncertainError;
      throw error;
    }
  }

  /** The last group came out otherwise. @throws Error: what is on disk is then not what is so */
  async amend(updates: readonly Init<'Update'>[]): Promise<void> {
    const log = this.#requiredLog();
    try {
      await log.replaceLast({ kind: kinds.writes, payload: writeCodec.encode({ updates }) });
    } catch (error) {
      this.#uncertain = true;
      throw error;
    }
  }

  /**
   * Begins the log anew where it is uncertain, or has become long.
   * @throws Error where it is uncertain, and stays so
   */
  checkpoint(state: () => DeviceState): void {
    if (this.#generation === undefined) return;
    const isLong = this.#log !== undefined && this.#log.bytes > this.#limit;
    if (!this.#uncertain && this.#log !== undefined && !isLong) return;
    try {
      this.beginLog(state());
    } catch (error) {
      if (this.#uncertain || this.#log === undefined) throw error;
      // It is whole, only long: tried again when it has become longer still.
      this.#limit = this.#log.bytes + SLACK_BYTES;
    }
  }

  /** Writes again what was damaged. @throws Error of the system call */
  mend(kept: Kept): void {
    const folder = join(this.path, kept.generation);
    if (kept.mended.includes(INDEX_FILE))
      replaceFile(join(this.path, INDEX_FILE), indexText(kept.generation), { mode: FILE_MODE });
    if (PIPELINE_FILES.some((name) => kept.mended.includes(name)))
      this.#writePipelines(
        folder,
        encodePipeline(
          { format: PIPELINE_FORMAT, number: this.#number, tag: kept.tag },
          configCodec.encode(kept.config),
        ),
      );
    chmodSync(this.path, FOLDER_MODE);
  }

  /** Begins the log with a state. @throws Error of the system call */
  beginLog(state: DeviceState): void {
    if (this.#generation === undefined) return;
    const { file, log } = RecordLog.create(join(this.path, this.#generation, LOG_FILE), [stateRecord(state)]);
    try {
      file.commit();
    } finally {
      file.abandon();
    }
    this.#takeLog(log);
  }

  /** What was read is of no use. */
  forget(): void {
    this.#generation = undefined;
    this.#dropLog();
  }

  async close(): Promise<void> {
    await this.#log?.close();
  }

  #find(attached: () => string | undefined, lost: (what: string) => void, mended: string[]) {
    const named = this.#readIndex(lost);
    const runs = named ?? attached();
    const others = runs === undefined ? this.#generations() : [runs];
    const found = others
      .flatMap((generation) => {
        const pipeline = this.#readPipeline(generation, lost, mended);
        return pipeline === undefined ? [] : [{ generation, ...pipeline }];
      })
      .sort((a, b) => b.head.number - a.head.number);
    if (found.length > 0 && named === undefined) mended.push(INDEX_FILE);
    return found[0];
  }

  #generations(): string[] {
    if (!isFolder(this.path)) return [];
    return readdirSync(this.path).filter((name) => GENERATION.test(name));
  }

  #readIndex(lost: (what: string) => void): string | undefined {
    const { bytes, fault } = contentOf(join(this.path, INDEX_FILE));
    const generation = bytes && generationIn(bytes.toString('utf8'));
    if (generation === undefined && (bytes !== undefined || this.#generations().length > 0))
      lost(`${INDEX_FILE} ${fault}`);
    return generation;
  }

  #readPipeline(generation: string, lost: (what: string) => void, mended: string[]) {
    let found: { readonly head: Head; readonly config: Message<'ForwardingPipelineConfig'> } | undefined;
    const bad: string[] = [];
    for (const name of PIPELINE_FILES) {
      const { bytes, fault } = contentOf(join(this.path, generation, name));
      const pipeline = bytes && decodePipeline(bytes);
      if (pipeline !== undefined) {
        found ??= pipeline;
        continue;
      }
      bad.push(name);
      lost(`${generation}/${name} ${fault}`);
    }
    if (found !== undefined) mended.push(...bad);
    return found;
  }

  #readLog(generation: string, lost: (what: string) => void): Pick<Kept, 'groups' | 'damage'> {
    const path = join(this.path, generation, LOG_FILE);
    try {
      const { log, contents } = RecordLog.read(path);
      const groups = contents.records.map(({ payload }) => writeCodec.decode(payload).updates.map(changeOf));
      if (contents.damage !== undefined) {
        const what = contents.damage === 'tail' ? 'is not whole at its end' : 'is damaged';
        lost(`${generation}/${LOG_FILE} ${what}`);
        this.#uncertain = true;
      }
      this.#takeLog(log, contents.records[0]?.payload.length);
      this.#uncertain = contents.damage !== undefined;
      return { groups, damage: contents.damage };
    } catch (error) {
      lost(`${generation}/${LOG_FILE} ${errnoOf(error) ? faultOf(error) : 'is damaged'}`);
      this.#uncertain = true;
      return { groups: [], damage: 'lost' };
    }
  }

  #takeLog(log: RecordLog, stateBytes = log.bytes): void {
    this.#dropLog();
    this.#log = log;
    this.#limit = 2 * stateBytes + SLACK_BYTES;
    this.#uncertain = false;
  }

  #dropLog(): void {
    // Whatever counts of it is on disk, so a file that does not close loses nothing.
    this.#log?.close().catch(() => {});
    this.#log = undefined;
  }

  #requiredLog(): RecordLog {
    if (this.#log === undefined || this.#uncertain)
      throw new Error('the log of what was written is not at hand');
    return this.#log;
  }

  #writePipelines(folder: string, bytes: Uint8Array): void {
    for (const name of PIPELINE_FILES) replaceFile(join(folder, name), bytes, { mode: FILE_MODE });
  }

  /** After a rename of which nobody knows whether it is on disk. */
  #nameAgain(): void {
    try {
      if (this.#generation !== undefined)
        replaceFile(join(this.path, INDEX_FILE), indexText(this.#generation), { mode: FILE_MODE });
    } catch {
      // Both generations are complete; the next push names one.
    }
  }

  /** Removes generations that are not named. */
  #sweep(): void {
    for (const name of this.#generations())
      try {
        if (name !== this.#generation) removeTree(join(this.path, name));
      } catch {
        // Next time.
      }
  }
}

/** Removes the state of an agent, and its folder if nothing else is in it. @returns whether there was anything */
export function removeState(path: string): boolean {
  if (!isFolder(path)) return false;
  const ours = readdirSync(path).filter(
    (name) => name === INDEX_FILE || GENERATION.test(name) || name.startsWith(`.${INDEX_FILE}.intransit-`),
  );
  for (const name of ours) removeTree(join(path, name));
  try {
    rmdirSync(path);
  } catch {
    // Other things are there.
  }
  return ours.length > 0;
}

/** No for a path that leads through a file, too. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Undefined for a text that is no index, or not one of this program. */
function generationIn(text: string): string | undefined {
  try {
    const { generation } = indexSchema.parse(JSON.parse(text));
    return indexText(generation) === text ? generation : undefined;
  } catch {
    return undefined;
  }
}

const indexText = (generation: string): string => {
  const checksum = sha256(FORMAT, generation).toString('hex');
  return `${JSON.stringify({ format: FORMAT, generation, checksum })}\n`;
};

function encodePipeline(head: Head, config: Uint8Array): Buffer {
  const line = `${JSON.stringify(head)}\n`;
  return Buffer.concat([Buffer.from(`${sha256(line, config).toString('hex')}\n${line}`), config]);
}

function decodePipeline(
  bytes: Buffer,
): { readonly head: Head; readonly config: Message<'ForwardingPipelineConfig'> } | undefined {
  const begin = bytes.indexOf('\n') + 1;
  const end = bytes.indexOf('\n', begin) + 1;
  if (begin === 0 || end === 0) return undefined;
  if (sha256(bytes.subarray(begin)).toString('hex') !== bytes.toString('latin1', 0, begin - 1))
    return undefined;
  const head = headSchema.safeParse(JSON.parse(bytes.toString('utf8', begin, end)));
  return head.success ? { head: head.data, config: configCodec.decode(bytes.subarray(end)) } : undefined;
}

const stateRecord = ({ changes }: DeviceState) => ({
  kind: kinds.state,
  payload: writeCodec.encode({ updates: changes }),
});

function changeOf({ type, entity }: Message<'Update'>): Change {
  if (entity === undefined || type === 'UNSPECIFIED' || typeof type === 'number')
    throw new Error('an update that is none');
  return { type, entity };
}

/** What is in a file, or why that is not known. */
function contentOf(path: string): { readonly bytes?: Buffer; readonly fault: string } {
  try {
    return { bytes: readFileSync(path), fault: 'is damaged, or of another version' };
  } catch (error) {
    return { fault: faultOf(error) };
  }
}

const faultOf = (error: unknown): string =>
  errnoOf(error) === 'ENOENT' ? 'is missing' : `cannot be read (${messageOf(error)})`;
