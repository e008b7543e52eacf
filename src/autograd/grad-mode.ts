let enabled = true;

export function isGradEnabled(): boolean {
  return enabled;
}

/** Runs `work` without recording a tape. Synchronous work only: an await inside would leak the mode into other code. */
export function noGrad<R>(work: () => R): R {
  return withGradMode(false, work);
}

/** Runs `work` with the tape on or off. */
export function withGradMode<R>(on: boolean, work: () => R): R {
  const before = enabled;
  enabled = on;
  try {
    return work();
  } finally {
    enabled = before;
  }
}
