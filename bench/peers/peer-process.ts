/** One engine in a process of its own: `peer-process.mjs <engine> [adapter]`, driven by messages. */
import type { EngineName, Peer, PeerReply, PeerRequest, Prepared } from './peer.ts';
import { problems } from './problems.ts';

const [name, adapter] = process.argv.slice(2) as [EngineName, string?];

const openers: Record<EngineName, () => Promise<{ open: (adapter?: string) => Promise<Peer> }>> = {
  'ct-lite': () => import('./ours.ts'),
  'jax-js': () => import('./jax.ts'),
  tfjs: () => import('./tfjs.ts'),
  onnxruntime: () => import('./onnx.ts'),
  'torch-f32': async () => ({ open: async () => (await import('./torch.ts')).open('f32') }),
  'torch-bf16': async () => ({ open: async () => (await import('./torch.ts')).open('bf16') }),
};

const reply = (message: PeerReply): void => void process.send!(message);
const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]!.slice(0, 300);

let prepared: Prepared | null = null;

async function answer(peer: Peer, request: PeerRequest): Promise<PeerReply> {
  switch (request.kind) {
    case 'prepare':
      prepared = await peer.prepare(problems.find(({ name }) => name === request.problem)!);
      return { kind: 'outputs', values: prepared && (await prepared.outputs()) };
    case 'time': {
      const milliseconds: number[] = [];
      for (let run = 0; run < request.runs; run++) {
        const start = performance.now();
        await prepared!.run();
        milliseconds.push(performance.now() - start);
      }
      return { kind: 'times', milliseconds };
    }
    case 'release':
      prepared?.dispose();
      prepared = null;
      return { kind: 'released' };
  }
}

try {
  const peer = await (await openers[name]()).open(adapter);
  process.on('message', (request: PeerRequest) => {
    answer(peer, request).then(reply, (error: unknown) => reply({ kind: 'failed', message: describe(error) }));
  });
  reply({ kind: 'ready', version: peer.version });
} catch (error) {
  reply({ kind: 'failed', message: describe(error) });
}
process.on('disconnect', () => process.exit());
