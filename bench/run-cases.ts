/** Runs cases one after another within limits of time, so that a run always comes to an end and says what it did not do. */

export interface Limits {
  /** Of the whole run and of one case, in seconds. */
  seconds: number;
  caseSeconds: number;
}

export interface Named {
  family: string;
  name: string;
}

/** What became of a case that gave no result. `because` tells a cut one from one that was never begun. */
export type Missed = Named & ({ skipped: string; because: 'cut' | 'left out' } | { failed: string });

export type Answer<Result> = { result: Result } | { isLate: true } | { died: string };

/** Where a case runs: something that can be ended from outside whatever it does. */
export interface CaseRunner<Result> {
  /** Never rejects, and answers within `seconds`. */
  run(at: number, seconds: number): Promise<Answer<Result>>;
  stop(): void;
}

export interface RunOptions<Result> {
  /** Opens a runner, at the beginning and after one was ended; throws where it can't within `seconds`. */
  open: (seconds: number) => Promise<CaseRunner<Result>>;
  limits: Limits;
  /** Of each case, in order; the next one begins when this is done. */
  onResult: (result: Result | Missed, at: number) => Promise<void>;
  /** In ms. */
  now?: () => number;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export async function runCases<Result>(list: readonly Named[], { open, limits, onResult, now = () => performance.now() }: RunOptions<Result>): Promise<void> {
  const start = now();
  let runner: CaseRunner<Result> | null = null;
  for (const [at, { family, name }] of list.entries()) {
    const left = limits.seconds - (now() - start) / 1000;
    if (left <= 0) {
      await onResult({ family, name, because: 'left out', skipped: `left out: the run's ${limits.seconds} s were used up; --seconds gives more` }, at);
      continue;
    }
    const seconds = Math.min(limits.caseSeconds, left);
    let answer: Answer<Result>;
    try {
      runner ??= await open(seconds);
      answer = await runner.run(at, seconds);
    } catch (error) {
      answer = { died: messageOf(error) };
    }
    if (!('result' in answer)) {
      runner?.stop();
      runner = null;
    }
    if ('result' in answer) await onResult(answer.result, at);
    else if ('died' in answer) await onResult({ family, name, failed: answer.died }, at);
    else await onResult({ family, name, because: 'cut', skipped: `cut: not done after ${Math.round(seconds)} s, all that ${seconds < limits.caseSeconds ? 'was left of the run; --seconds' : 'a case gets; --case-seconds'} gives more` }, at);
  }
  runner?.stop();
}
