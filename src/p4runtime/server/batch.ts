import { status } from '@grpc/grpc-js';
import type { Init, Message } from '../proto/messages.ts';
import type { Change, P4Device, RoleFilter } from './device.ts';
import { denied, errorOf, Fault } from './fault.ts';
import { prepare } from './write.ts';
import type { WriteContext } from './write-context.ts';

/** A Write that was let in. */
export interface Work {
  readonly updates: readonly Message<'Update'>[];
  /** What the role may touch; undefined for everything. */
  readonly allowed: RoleFilter | undefined;
  /** ROLLBACK_ON_ERROR: all or nothing. */
  readonly rollback: boolean;
}

interface Step {
  readonly index: number;
  readonly update: Message<'Update'>;
  readonly change: Change;
  readonly inverse: Change;
  readonly undo: () => void;
}

/**
 * The updates of one Write on their way: checked and put into the store first, so that it is known what will be, then done by
 * the device. CONTINUE_ON_ERROR tries every update; ROLLBACK_ON_ERROR leaves all as before after the first fault (section
 * "Batch Atomicity").
 */
export class Batch {
  readonly #context: WriteContext;
  readonly #work: Work;
  readonly #errors: Init<'Error'>[];
  /** In the store; `#applied` of them are done by the device too. */
  #steps: Step[] = [];
  #applied = 0;

  constructor(context: WriteContext, work: Work) {
    this.#context = context;
    this.#work = work;
    this.#errors = work.updates.map(() => ({}));
  }

  get changes(): readonly Change[] {
    return this.#steps.map((s) => s.change);
  }

  /** Those that are, or will be, done. */
  get updates(): readonly Message<'Update'>[] {
    return this.#steps.map((s) => s.update);
  }

  /** One an update; undefined where all went well. */
  get errors(): readonly Init<'Error'>[] | undefined {
    return this.#errors.some((e) => e.canonicalCode !== undefined) ? this.#errors : undefined;
  }

  /** Into the store alone. */
  stage(): void {
    for (const [index, update] of this.#work.updates.entries())
      try {
        this.#stageOne(index, update);
      } catch (error) {
        this.#errors[index] = errorOf(error);
        if (!this.#work.rollback) continue;
        this.unstage();
        this.#refuseOthers(index);
        return;
      }
  }

  /** Takes what the device has not done out of the store again. */
  unstage(): void {
    for (const { undo } of this.#steps.splice(this.#applied).reverse()) undo();
  }

  /**
   * Has the device do what is staged. What comes after an update that it refuses was checked against what is not so: that is
   * checked and done anew, one by one.
   * @param unstageLater takes the batches that are staged after this one out of the store
   * @returns false where the device refused something
   */
  async apply(device: P4Device, unstageLater: () => void): Promise<boolean> {
    while (this.#applied < this.#steps.length) {
      const { index, change } = this.#steps[this.#applied]!;
      try {
        await device.apply?.(change);
        this.#applied++;
      } catch (error) {
        unstageLater();
        this.unstage();
        this.#errors[index] = errorOf(error);
        await this.#afterRefusal(index, device);
        return false;
      }
    }
    return true;
  }

  /** What was staged no longer counts: all is checked anew. */
  async applyAnew(device: P4Device): Promise<void> {
    this.#errors.fill({});
    await this.#applyFrom(0, device);
  }

  /** Checks and does one update after the other. */
  async #applyFrom(from: number, device: P4Device): Promise<void> {
    for (const [index, update] of this.#work.updates.entries()) {
      if (index < from) continue;
      try {
        this.#stageOne(index, update);
        await device.apply?.(this.#steps.at(-1)!.change);
        this.#applied++;
      } catch (error) {
        this.unstage();
        this.#errors[index] = errorOf(error);
        if (!this.#work.rollback) continue;
        await this.#afterRefusal(index, device);
        return;
      }
    }
  }

  /** As if nothing had been asked for, on the device too. @returns what could not be taken back */
  async takeBack(device: P4Device): Promise<readonly unknown[]> {
    this.unstage();
    const faults: unknown[] = [];
    for (const { inverse, undo } of this.#steps.reverse()) {
      try {
        await device.apply?.(inverse);
      } catch (error) {
        faults.push(error);
      }
      undo();
    }
    this.#steps = [];
    this.#applied = 0;
    return faults;
  }

  async #afterRefusal(index: number, device: P4Device): Promise<void> {
    if (!this.#work.rollback) return this.#applyFrom(index + 1, device);
    const [fault] = await this.takeBack(device);
    this.#refuseOthers(index);
    if (fault === undefined) return;
    const { message = '' } = this.#errors[index]!;
    this.#errors[index] = {
      ...errorOf(
        new Fault(status.INTERNAL, `not all could be taken back: ${errorOf(fault).message}; ${message}`),
      ),
    };
  }

  #stageOne(index: number, update: Message<'Update'>): void {
    const { allowed } = this.#work;
    if (allowed !== undefined && !allowed(update.entity ?? {})) throw denied('the entity is not of the role');
    const { change, inverse, commit } = prepare(this.#context, update);
    this.#steps.push({ index, update, change, inverse, undo: commit() });
  }

  /** What an update at fault does to the others of its Write. */
  #refuseOthers(fault: number): void {
    for (const index of this.#errors.keys()) {
      if (index === fault) continue;
      const message = index < fault ? 'taken back' : 'not tried';
      this.#errors[index] = { canonicalCode: status.ABORTED, message };
    }
  }
}
