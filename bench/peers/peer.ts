/** What every engine that is compared has to offer, and the messages between the comparison and an engine's process. */
import type { Problem } from './problems.ts';

export const engineNames = ['ct-lite', 'jax-js', 'tfjs', 'onnxruntime', 'torch-f32', 'torch-bf16'] as const;
export type EngineName = (typeof engineNames)[number];

export interface Prepared {
  /** Computes once and resolves when the adapter has done it. */
  run(): Promise<void>;
  /** Computes once and reads the results, in the problem's layouts, by the names of its expected outputs. */
  outputs(): Promise<Record<string, Float32Array>>;
  dispose(): void;
}

export interface Peer {
  /** Package and version. */
  version: string;
  /** Puts the operands on the adapter; null where this engine cannot do the problem. */
  prepare(problem: Problem): Promise<Prepared | null>;
}

export type PeerRequest = { kind: 'prepare'; problem: string } | { kind: 'time'; runs: number } | { kind: 'release' };

export type PeerReply =
  | { kind: 'ready'; version: string }
  | { kind: 'outputs'; values: Record<string, Float32Array> | null }
  | { kind: 'times'; milliseconds: number[] }
  | { kind: 'released' }
  | { kind: 'failed'; message: string };
