/** The process that runs cases, seen from the bench. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CaseReply, CaseRequest } from './case-process.ts';

export class CaseChild {
  private readonly child: ChildProcess;
  private settle: ((reply: CaseReply | 'late') => void) | null = null;

  /** `script` as seen from this bundle. Everything that it prints goes to standard error. */
  constructor(script = './case-process.mjs') {
    // --expose-gc: a bench frees between its cases what the last one left.
    this.child = fork(fileURLToPath(new URL(script, import.meta.url)), [], { serialization: 'advanced', execArgv: ['--expose-gc'], stdio: ['ignore', 2, 2, 'ipc'] });
    this.child.on('message', (reply: CaseReply) => this.answer(reply));
    this.child.on('error', ({ message }) => this.answer({ kind: 'failed', message }));
    this.child.on('exit', (code, signal) => this.answer({ kind: 'failed', message: `its process ended with ${signal ?? `exit code ${code}`}` }));
  }

  /** Its answer, or `late` after so many seconds; it is of no use afterwards. */
  ask(request: CaseRequest, seconds: number): Promise<CaseReply | 'late'> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answer('late'), 1000 * seconds);
      this.settle = (reply) => {
        clearTimeout(timer);
        resolve(reply);
      };
      if (this.child.connected) this.child.send(request);
      else this.answer({ kind: 'failed', message: 'its process has ended' });
    });
  }

  /** Ends the process whatever it does. */
  stop(): void {
    this.child.kill('SIGKILL');
  }

  private answer(reply: CaseReply | 'late'): void {
    const { settle } = this;
    this.settle = null;
    settle?.(reply);
  }
}
