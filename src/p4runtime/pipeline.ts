import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { checkBmv2Config } from './bmv2-config.ts';
import { P4RuntimeError } from './errors.ts';
import { P4InfoIndex } from './p4info-index.ts';
import type { ConfigInit, Init, Message } from './proto/messages.ts';
import { configCodec } from './proto/registry.ts';
import type { Session } from './session.ts';
import type { CallOptions } from './writer.ts';

/** A program as it is pushed. */
export interface PipelineConfig {
  readonly p4info: ConfigInit<'P4Info'>;
  /** What the target loads; BMv2 takes the JSON of p4c. */
  readonly deviceConfig: Uint8Array;
  /** Names this very configuration; default a hash of both parts, never 0. */
  readonly cookie?: bigint;
  /** Compare P4Info and program before the push, where the program is p4c's for BMv2; default true. */
  readonly check?: boolean;
}

const p4infoCodec = configCodec('P4Info');

/** The first 64 bits of SHA-256 over both parts: the same configuration has the same cookie anywhere. */
export function cookieOf({ p4info, deviceConfig, cookie }: PipelineConfig): bigint {
  if (cookie !== undefined) return cookie;
  const info = p4infoCodec.encode(p4info);
  const hash = createHash('sha256').update(`${info.length}:`).update(info).update(deviceConfig).digest();
  return hash.readBigUInt64BE() || 1n;
}

type Action = Exclude<Init<'SetForwardingPipelineConfigRequest'>['action'], number | undefined>;
type ResponseType = 'ALL' | 'COOKIE_ONLY' | 'P4INFO_AND_COOKIE' | 'DEVICE_CONFIG_AND_COOKIE';

/** The program of a device (section "SetForwardingPipelineConfig RPC"). */
export class Pipeline {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Could the device run it? Changes nothing. */
  verify(config: PipelineConfig, options?: CallOptions): Promise<void> {
    return this.#set('VERIFY', config, options);
  }

  /** Loads it; forwarding changes at once, and all entries are gone. */
  commit(config: PipelineConfig, options?: CallOptions): Promise<void> {
    return this.#set('VERIFY_AND_COMMIT', config, options);
  }

  /** Takes it without changing the forwarding; writes go to it from here on. */
  save(config: PipelineConfig, options?: CallOptions): Promise<void> {
    return this.#set('VERIFY_AND_SAVE', config, options);
  }

  /** Makes the saved one run, with what was written since. */
  commitSaved(options?: CallOptions): Promise<void> {
    return this.#set('COMMIT', undefined, options);
  }

  /** Loads it and keeps the entries. */
  reconcile(config: PipelineConfig, options?: CallOptions): Promise<void> {
    return this.#set('RECONCILE_AND_COMMIT', config, options);
  }

  /** Commits it unless the device has it already, by the cookie. @returns whether it was pushed */
  async ensure(config: PipelineConfig, options?: CallOptions): Promise<boolean> {
    const cookie = cookieOf(config);
    if ((await this.get('COOKIE_ONLY', options))?.cookie?.cookie === cookie) return false;
    await this.commit({ ...config, cookie }, options);
    return true;
  }

  /** What the device runs; undefined before the first push. */
  async get(
    responseType: ResponseType = 'ALL',
    { timeoutMs = this.#session.timeoutMs }: CallOptions = {},
  ): Promise<Message<'ForwardingPipelineConfig'> | undefined> {
    const { deviceId } = this.#session;
    try {
      return (await this.#session.rpc().getPipeline({ deviceId, responseType }, timeoutMs)).config;
    } catch (error) {
      // BMv2 has no answer before the first push; the standard's is an empty one.
      if (error instanceof P4RuntimeError && error.code === status.FAILED_PRECONDITION) return undefined;
      throw error;
    }
  }

  async #set(
    action: Action,
    config?: PipelineConfig,
    { timeoutMs = this.#session.timeoutMs }: CallOptions = {},
  ): Promise<void> {
    // A P4Info that contradicts itself, or the program, is better named here than by a code of the device.
    if (config !== undefined && config.check !== false)
      checkBmv2Config(new P4InfoIndex(config.p4info), config.deviceConfig);
    const request = {
      ...this.#session.identity,
      action,
      ...(config !== undefined && {
        config: {
          p4info: config.p4info,
          p4DeviceConfig: config.deviceConfig,
          cookie: { cookie: cookieOf(config) },
        },
      }),
    };
    await this.#session.rpc().setPipeline(request, timeoutMs);
  }
}
