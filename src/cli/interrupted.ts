/**
 * The signal that asks for an end. The program's own handlers would end the process on the spot; a second signal still does.
 */
export function untilInterrupted(): Promise<NodeJS.Signals> {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  return new Promise((resolve) => {
    const before = signals.map((signal) => process.rawListeners(signal) as (() => void)[]);
    const onSignal = (caught: NodeJS.Signals) => {
      for (const [i, signal] of signals.entries()) {
        process.off(signal, onSignal);
        for (const listener of before[i]!) process.on(signal, listener);
      }
      resolve(caught);
    };
    for (const signal of signals) {
      process.removeAllListeners(signal);
      process.on(signal, onSignal);
    }
  });
}
