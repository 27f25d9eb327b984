import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  attachXdp,
  BpfError,
  type BpfProgram,
  ensureBpffs,
  interfaceDriver,
  interfaceIndex,
  interfaceXdpMode,
  openPinnedLink,
  unpin,
  withNetns,
  type XdpLink,
  type XdpMode,
} from '../bpf/index.ts';

/** A port of the device, and the interface that it is. */
export interface PortInterface {
  /** P4Runtime's number of the port, 0..510. */
  readonly port: number;
  readonly name: string;
}

/** Which interfaces programs are attached to, and how. */
export interface InterfaceOptions {
  readonly ports: readonly PortInterface[];
  readonly mode: XdpMode | 'auto';
  readonly netns: string | undefined;
  /** Folder of the pinned links in the BPF file system. */
  readonly pins: string;
}

/** An interface as it stands. */
export interface PortState extends PortInterface {
  /** 0 where there is no such interface at present. */
  readonly ifindex: number;
  /** Undefined where nothing is attached. */
  readonly mode: XdpMode | undefined;
}

interface Port extends PortInterface {
  ifindex: number;
  link: XdpLink | undefined;
  mode: XdpMode | undefined;
}

/** The interfaces of a device, and what holds the program on them. */
export class Interfaces {
  readonly #options: InterfaceOptions;
  readonly #ports: readonly Port[];

  /** @throws BpfError `bpf-interface` where one is not there */
  constructor(options: InterfaceOptions) {
    this.#options = options;
    this.#ports = options.ports.map((port) => ({
      ...port,
      ifindex: this.#inside(() => interfaceIndex(port.name)),
      link: undefined,
      mode: undefined,
    }));
  }

  state(): readonly PortState[] {
    return this.#ports.map(({ port, name, ifindex, mode }) => ({ port, name, ifindex, mode }));
  }

  hasPort(port: number): boolean {
    return this.#ports.some((p) => p.port === port);
  }

  /**
   * Opens the links of an earlier process. One that is on another interface by now, or of a port that is none any more, is
   * taken away.
   */
  open(): void {
    const { pins, mode } = this.#options;
    if (!existsSync(pins)) return;
    for (const name of readdirSync(pins)) {
      const link = openPinnedLink(join(pins, name));
      const port = this.#ports.find((p) => pinName(p) === name);
      const fits = port !== undefined && link.info().ifindex === port.ifindex;
      const made = fits ? this.#inside(() => interfaceXdpMode(port.ifindex)) : undefined;
      if (fits && (mode === 'auto' || made === undefined || made === mode)) {
        port.link?.close();
        port.link = link;
        port.mode = made;
        continue;
      }
      unpin(join(pins, name));
      link.detach();
    }
  }

  /**
   * Puts the program on all interfaces that are there; where another one is it is replaced, so that every packet meets one
   * of the two. If that fails anywhere all is as before.
   * @throws BpfError
   */
  attach(program: BpfProgram, before?: BpfProgram): void {
    const { id } = program.info();
    const undo: (() => void)[] = [];
    try {
      for (const port of this.#ports) {
        if (port.ifindex === 0) continue;
        const { link } = port;
        if (link?.info().programId === id) continue;
        if (link === undefined) {
          this.#attach(port, program);
          undo.push(() => this.#detach(port));
        } else {
          link.update(program);
          if (before !== undefined) undo.push(() => link.update(before));
        }
      }
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  /** Looks at what has become of the interfaces. @returns those that changed */
  refresh(): readonly PortInterface[] {
    return this.#ports.filter((port) => {
      const ifindex = this.#inside(() => {
        try {
          return interfaceIndex(port.name);
        } catch (error) {
          if (error instanceof BpfError && error.code === 'bpf-interface') return 0;
          throw error;
        }
      });
      const gone = port.link !== undefined && port.link.info().ifindex !== ifindex;
      if (ifindex === port.ifindex && !gone) return false;
      if (port.link !== undefined) this.#detach(port);
      port.ifindex = ifindex;
      return true;
    });
  }

  /** The kernel's ids of the programs that links of an earlier process hold. */
  programIds(): ReadonlySet<number> {
    const { pins } = this.#options;
    const ids = new Set<number>();
    for (const name of existsSync(pins) ? readdirSync(pins) : []) {
      using link = openPinnedLink(join(pins, name));
      ids.add(link.info().programId);
    }
    return ids;
  }

  /** Takes the program off all interfaces. */
  detach(): void {
    for (const port of this.#ports) if (port.link !== undefined) this.#detach(port);
  }

  /** Lets go of the links; the program stays where it is. */
  close(): void {
    for (const port of this.#ports) port.link?.close();
  }

  /** Runs where the interfaces are. */
  inside<T>(run: () => T): T {
    return this.#inside(run);
  }

  #inside<T>(run: () => T): T {
    const { netns } = this.#options;
    return netns === undefined ? run() : withNetns(netns, run);
  }

  #attach(port: Port, program: BpfProgram): void {
    const { pins } = this.#options;
    const link = this.#inside(() => attachXdp(program, { interface: port.ifindex, mode: this.#mode(port) }));
    const path = join(pins, pinName(port));
    try {
      ensureBpffs(pins.replace(/^\/sys\/fs\/bpf\/?/, ''));
      unpin(path);
      link.pin(path);
    } catch (error) {
      link.detach();
      throw error;
    }
    port.link = link;
    port.mode = link.mode;
  }

  /** A veth drops what a native program sends through it, without a word, unless its peer has a program too. */
  #mode({ name }: Port): XdpMode | 'auto' {
    const { mode } = this.#options;
    return mode === 'auto' && interfaceDriver(name) === 'veth' ? 'generic' : mode;
  }

  #detach(port: Port): void {
    unpin(join(this.#options.pins, pinName(port)));
    port.link?.detach();
    port.link = undefined;
    port.mode = undefined;
  }
}

/** Names of interfaces may have dots, names of pins may not. */
const pinName = ({ port }: PortInterface): string => `port_${port}`;

/** Takes links of another process away. */
export function detachPinned(pins: string): void {
  if (!existsSync(pins)) return;
  for (const name of readdirSync(pins)) {
    const link = openPinnedLink(join(pins, name));
    unpin(join(pins, name));
    link.detach();
  }
}
