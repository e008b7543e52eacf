/** A peer's process, seen from the comparison. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { EngineName, PeerReply, PeerRequest } from './peer.ts';

export class PeerHandle {
  readonly name: string;
  version = '';
  /** Why it takes no further part. */
  failure: string | null = null;
  private readonly child: ChildProcess;
  /** Seconds to wait for an answer: a first run compiles, on software adapters for minutes. */
  private readonly patience: number;
  private settle: ((reply: PeerReply) => void) | null = null;

  private constructor(name: string, child: ChildProcess, patience: number) {
    this.name = name;
    this.patience = patience;
    this.child = child;
    child.on('message', (reply: PeerReply) => this.answer(reply));
    child.on('exit', (code, signal) => this.answer({ kind: 'failed', message: `its process ended with ${signal ?? `exit code ${code}`}` }));
  }

  /** Starts the engine's process and waits for its device. A failure is kept, not thrown. */
  static async start(name: EngineName, { adapter, verbose, patience }: { adapter?: string; verbose: boolean; patience: number }): Promise<PeerHandle> {
    const script = fileURLToPath(new URL('./peer-process.mjs', import.meta.url));
    const child = fork(script, [name, ...(adapter === undefined ? [] : [adapter])], { serialization: 'advanced', execArgv: ['--expose-gc'], stdio: ['ignore', verbose ? 'inherit' : 'ignore', verbose ? 'inherit' : 'ignore', 'ipc'] });
    const peer = new PeerHandle(name, child, patience);
    const reply = await peer.wait();
    if (reply.kind === 'ready') peer.version = reply.version;
    else peer.failure = reply.kind === 'failed' ? reply.message : 'answered out of turn';
    return peer;
  }

  /** Sends a request and gives its answer; `failed` once the patience is used up, and the process is then ended. */
  request(request: PeerRequest): Promise<PeerReply> {
    this.child.send(request);
    return this.wait();
  }

  stop(): void {
    if (this.child.exitCode === null) this.child.kill('SIGKILL');
  }

  private answer(reply: PeerReply): void {
    const { settle } = this;
    this.settle = null;
    if (settle) settle(reply);
    else if (reply.kind === 'failed') this.failure ??= reply.message;
  }

  private wait(): Promise<PeerReply> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.failure = `no answer in ${this.patience} s`;
        this.stop();
      }, 1000 * this.patience);
      this.settle = (reply) => {
        clearTimeout(timer);
        if (reply.kind === 'failed' && this.child.exitCode !== null) this.failure ??= reply.message;
        resolve(this.failure && reply.kind === 'failed' ? { kind: 'failed', message: this.failure } : reply);
      };
    });
  }
}
