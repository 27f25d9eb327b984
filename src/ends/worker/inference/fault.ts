import { DiagnosticError } from '../../../diagnostics/index.ts';
import { messageOf } from '../../../durable/index.ts';

/** Why a call of the protocol is refused; each of its two forms has a status for every kind. */
export type FaultKind = 'invalid' | 'not found' | 'forbidden' | 'too large' | 'too much' | 'unavailable';

/** What a client is told instead of an answer. */
export class InferenceFault extends Error {
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** A call that is wrong by itself, whatever the worker holds. @throws InferenceFault */
export const invalid = (message: string): never => {
  throw new InferenceFault('invalid', message);
};

/** What a client is told of any error. */
export function faultOf(error: unknown): { readonly kind: FaultKind; readonly message: string } {
  if (error instanceof InferenceFault) return error;
  if (error instanceof DiagnosticError) {
    const [first] = error.diagnostics;
    const place = first?.place.file ?? '';
    return {
      kind: 'invalid',
      message: `${place === '' ? '' : `${place}: `}${first?.message ?? error.message}`,
    };
  }
  return { kind: 'unavailable', message: messageOf(error) };
}
