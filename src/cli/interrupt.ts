/** Ctrl-C for commands that save before they end. */

/** What an interrupted command throws; the command line then exits with 130, as shells do for Ctrl-C. */
export class Interrupted extends Error {
  constructor(message = 'interrupted') {
    super(message);
    this.name = 'Interrupted';
  }
}

let controller: AbortController | null = null;

/**
 * Aborts at the first Ctrl-C (SIGINT) or SIGTERM, with an `Interrupted` as its reason; a second one ends the process at once.
 * A command that never calls this is simply ended by the first.
 */
export function interruptSignal(): AbortSignal {
  if (controller) return controller.signal;
  const made = (controller = new AbortController());
  const onSignal = (): void => {
    if (made.signal.aborted) process.exit(130);
    made.abort(new Interrupted());
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return made.signal;
}
