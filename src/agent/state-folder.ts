/** What a device keeps on disk: which program runs, where it is pinned, and all that was written. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { XdpMode } from '../bpf/index.ts';
import { type Change, type DeviceState, entityKey, type Init, v1Codec } from '../p4runtime/index.ts';

const FORMAT = 'intransit-agent/1';
const INDEX_FILE = 'agent.json';
const CONFIG_FILE = 'pipeline.bin';
const ENTRIES_FILE = 'entries.bin';
const WEIGHTS_PREFIX = 'weights-';

const indexSchema = z.object({
  format: z.literal(FORMAT),
  /** Names the folder of the state, and that of the pins. */
  generation: z.string().regex(/^[0-9a-f]{8}$/),
  modes: z.array(z.object({ port: z.int(), mode: z.enum(['native', 'generic']) })),
});
type Index = z.infer<typeof indexSchema>;

const configCodec = v1Codec('ForwardingPipelineConfig');
const writeCodec = v1Codec('WriteRequest');
const updateCodec = v1Codec('Update');

type Modes = ReadonlyMap<number, XdpMode>;

/**
 * A folder with one generation in use, named by `agent.json`: it is complete before it is named. Weights have files of their
 * own, so that to write an entry costs what the small tables weigh.
 */
export class StateFolder {
  readonly path: string;
  readonly #isLarge: (entity: Init<'Entity'>) => boolean;
  #index: Index | undefined;
  /** Writes come one after the other: some are nobody's call, such as that of an interface which was made again. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param isLarge entities with a file of their own */
  constructor(path: string, isLarge: (entity: Init<'Entity'>) => boolean) {
    this.path = path;
    this.#isLarge = isLarge;
    mkdirSync(path, { recursive: true });
  }

  get generation(): string | undefined {
    return this.#index?.generation;
  }

  /** In which the links were made. */
  get modes(): Modes {
    return new Map(this.#index?.modes.map(({ port, mode }) => [port, mode]));
  }

  static newGeneration(): string {
    return randomBytes(4).toString('hex');
  }

  /** @throws Error where it is damaged */
  load(): DeviceState | undefined {
    const file = join(this.path, INDEX_FILE);
    if (!existsSync(file)) return undefined;
    const index = indexSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
    if (!index.success) throw new Error(`${INDEX_FILE} is damaged, or of another version`);
    this.#index = index.data;
    const folder = join(this.path, this.#index.generation);
    const config = configCodec.decode(readFileSync(join(folder, CONFIG_FILE)));
    const { updates } = writeCodec.decode(readFileSync(join(folder, ENTRIES_FILE)));
    const weights = readdirSync(folder)
      .filter((name) => name.startsWith(WEIGHTS_PREFIX) && name.endsWith('.bin'))
      .map((name) => updateCodec.decode(readFileSync(join(folder, name))));
    return { config, changes: [...weights, ...updates].map(changeOf) };
  }

  /** Begins a generation. */
  begin(generation: string, state: DeviceState, modes: Modes): Promise<void> {
    return this.#inTurn(() => this.#begin(generation, state, modes));
  }

  /** Keeps what a Write has changed. */
  update(state: DeviceState, changes: readonly Change[]): Promise<void> {
    return this.#inTurn(() => this.#update(state, changes));
  }

  setModes(modes: Modes): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#index !== undefined) await this.#writeIndex({ ...this.#index, modes: listOf(modes) });
    });
  }

  /** Returns when all is written. */
  async idle(): Promise<void> {
    await this.#last;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #begin(generation: string, state: DeviceState, modes: Modes): Promise<void> {
    const folder = join(this.path, generation);
    mkdirSync(folder, { recursive: true });
    await writeDurably(join(folder, CONFIG_FILE), configCodec.encode(state.config));
    for (const change of state.changes) if (this.#isLarge(change.entity)) await writeLarge(folder, change);
    await this.#writeEntries(folder, state);
    await this.#writeIndex({ format: FORMAT, generation, modes: listOf(modes) });
    this.#sweep();
  }

  async #update(state: DeviceState, changes: readonly Change[]): Promise<void> {
    if (this.#index === undefined) return;
    const folder = join(this.path, this.#index.generation);
    const large = changes.filter((c) => this.#isLarge(c.entity));
    for (const change of large)
      if (change.type === 'DELETE') rmSync(largePath(folder, change.entity), { force: true });
      else await writeLarge(folder, change);
    if (large.length < changes.length) await this.#writeEntries(folder, state);
  }

  async #writeEntries(folder: string, { changes }: DeviceState): Promise<void> {
    const updates = changes.filter((c) => !this.#isLarge(c.entity));
    await writeDurably(join(folder, ENTRIES_FILE), writeCodec.encode({ updates }));
  }

  async #writeIndex(index: Index): Promise<void> {
    await writeDurably(join(this.path, INDEX_FILE), Buffer.from(`${JSON.stringify(index)}\n`));
    this.#index = index;
  }

  /** Removes generations that are not named. */
  #sweep(): void {
    for (const name of readdirSync(this.path))
      if (/^[0-9a-f]{8}$/.test(name) && name !== this.#index?.generation)
        rmSync(join(this.path, name), { recursive: true, force: true });
  }
}

const listOf = (modes: Modes) => [...modes].map(([port, mode]) => ({ port, mode }));

function changeOf({ type, entity }: ReturnType<typeof updateCodec.decode>): Change {
  if (entity === undefined || (type !== 'INSERT' && type !== 'MODIFY'))
    throw new Error('the kept state is damaged');
  return { type, entity };
}

const largePath = (folder: string, entity: Init<'Entity'>): string =>
  join(
    folder,
    `${WEIGHTS_PREFIX}${createHash('sha256').update(entityKey(entity)).digest('hex').slice(0, 16)}.bin`,
  );

/** As an insertion, whatever it was: only the outcome counts. */
const writeLarge = (folder: string, { entity }: Change): Promise<void> =>
  writeDurably(largePath(folder, entity), updateCodec.encode({ type: 'INSERT', entity }));

/** Whoever opens the file finds the old contents or the new ones, even if the machine stops meanwhile. */
async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(`${path}.tmp`, 'w');
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
  renameSync(`${path}.tmp`, path);
}
