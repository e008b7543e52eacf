/** An error of the engine or of an op. `where` names the op, kernel or stage; the message says rule, received and remedy. */
export class EngineError extends Error {
  readonly where: string;

  constructor(where: string, message: string, options?: { cause?: unknown }) {
    super(`${where}: ${message}`, options);
    this.name = 'EngineError';
    this.where = where;
  }
}

/** A buffer, binding or budget that the device cannot give. */
export class OutOfMemoryError extends EngineError {
  constructor(where: string, message: string) {
    super(where, message);
    this.name = 'OutOfMemoryError';
  }
}

/** The device went away (driver reset, `destroy()`, tab suspended). Open a new engine and go on from the last checkpoint. */
export class DeviceLostError extends EngineError {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super('device', `lost (${reason}): ${message}; open a new engine and resume from the last checkpoint`);
    this.name = 'DeviceLostError';
    this.reason = reason;
  }
}

/** Throws an EngineError unless `condition` holds. `message` is only called on failure. */
export function check(condition: boolean, where: string, message: () => string): asserts condition {
  if (!condition) throw new EngineError(where, message());
}
