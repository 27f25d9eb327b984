import type { XdpOptions } from '../backends/xdp/plan.ts';
import type { Model } from '../model/model.ts';
import type { Engine, EngineName } from './engine.ts';

export type { Engine, EngineName } from './engine.ts';

/** Each engine's libraries are loaded only when it is asked for. @throws DiagnosticError */
export async function createEngine(name: EngineName, model: Model, options: XdpOptions): Promise<Engine> {
  switch (name) {
    case 'reference':
      return (await import('./reference.ts')).createReferenceEngine(model, options);
    case 'xdp':
      return (await import('./xdp.ts')).createXdpEngine(model, options);
    case 'bmv2':
      return (await import('./bmv2.ts')).createBmv2Engine(model, options);
  }
}
