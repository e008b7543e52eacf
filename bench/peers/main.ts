/**
 * `npm run bench:peers`: ct-lite against other engines on one adapter, with the same operands. Each engine has a process of its own
 * and they take turns, so that a busy machine slows all alike. Results are compared with float64 before anything is timed; an
 * engine whose result is wrong is marked and does not count.
 */
import { describeAdapter, requestNodeAdapter } from '../../src/platform/node-adapter.ts';
import { relativeError } from '../../test/support/arrays.ts';
import { median } from '../statistics.ts';
import { readOptions } from '../options.ts';
import { mergeResults, resultsFile } from '../results-file.ts';
import { engineNames, type EngineName } from './peer.ts';
import { PeerHandle } from './peer-handle.ts';
import { expectedOf, problems, type Problem } from './problems.ts';
import { NOT_OFFERED, WRONG, type PeerRow } from './row.ts';

/** bf16 holds 8 bits. */
const halfTolerance = 3e-2;
/** f32 sums of up to a thousand products agree with float64 to 1e-6; half precision or a wrong formula does not to 1e-4. */
const tolerance = 1e-4;
/** Through a whole model, forward and backward, the same gradients agree to 1e-5 and better; a wrong layer shows in the first digit. */
const stepTolerance = 1e-3;
/** Times the fastest peer's: who is slower than that is timed once, since it can't be the best. */
const outclassed = 3;
/** A round takes several runs of what is short. */
const roundMilliseconds = 150;

const usage = `npm run bench:peers -- [--adapter NAME] [--filter TEXT] [--engines A,B] [--rounds N] [--seconds N] [--patience N] [--json] [--verbose]
  --filter    only problems whose names contain TEXT
  --engines   of ${engineNames.join(', ')}; ct-lite always takes part
  --rounds    turns that each engine takes at most (default 5); they end before --seconds a problem (default 30)
  --patience  seconds after which an engine that has not answered, compiling included, is left out (default 480)
  --json      writes bench/results/<adapter>.peers.json after each problem
  --verbose   shows what the engines print`;

const options = readOptions('bench:peers', usage, {
  adapter: { type: 'string' },
  filter: { type: 'string' },
  engines: { type: 'string' },
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '30' },
  patience: { type: 'string', default: '480' },
  json: { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
});
for (const flag of ['rounds', 'seconds', 'patience'] as const) if (!(Number(options[flag]) > 0)) refuse(`--${flag}: must be a positive number, got "${options[flag]}"`);
for (const name of options.engines?.split(',') ?? []) if (!engineNames.includes(name as EngineName)) refuse(`--engines: there is no "${name}"; there are ${engineNames.join(', ')}`);
if (!problems.some(({ name }) => name.includes(options.filter ?? ''))) refuse(`--filter: no name contains "${options.filter}"`);

function refuse(message: string): never {
  process.stderr.write(`bench:peers: ${message}\n`);
  process.exit(2);
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function contestants(): Promise<PeerHandle[]> {
  const names = (options.engines?.split(',') ?? engineNames) as EngineName[];
  const peers: PeerHandle[] = [];
  for (const name of new Set<EngineName>(['ct-lite', ...names])) {
    const peer = await PeerHandle.start(name, { ...options, patience: Number(options.patience) });
    print(peer.failure ? `${name}: left out: ${peer.failure}` : `${name}: ${peer.version}`);
    peers.push(peer);
  }
  return peers;
}

/** Lets each engine compute once and compares. Gives the errors of those that are right; the others get a note. */
async function checkAll(problem: Problem, peers: PeerHandle[], row: PeerRow): Promise<Map<PeerHandle, number>> {
  // Without a reference the others are compared with us, who were tested against one op by op.
  let expected: Record<string, ArrayLike<number>> | null = expectedOf(problem);
  const allowed = expected ? tolerance : stepTolerance;
  const right = new Map<PeerHandle, number>();
  for (const peer of peers) {
    if (peer.failure) {
      row.engines[peer.name] = { note: peer.failure };
      continue;
    }
    const reply = await peer.request({ kind: 'prepare', problem: problem.name });
    if (reply.kind !== 'outputs') row.engines[peer.name] = { note: reply.kind === 'failed' ? reply.message : 'answered out of turn' };
    else if (!reply.values) row.engines[peer.name] = { note: NOT_OFFERED };
    else {
      const { values } = reply;
      expected ??= values;
      const error = Math.max(...Object.entries(expected).map(([name, want]) => (values[name]?.length === want.length ? relativeError(values[name]!, want) : Infinity)));
      if (error <= (peer.name === 'torch-bf16' ? halfTolerance : allowed)) right.set(peer, error);
      else row.engines[peer.name] = { note: `${WRONG} relative error ${error.toExponential(1)}`, error };
    }
  }
  return right;
}

async function timesOf(peer: PeerHandle, runs: number): Promise<number[]> {
  const reply = await peer.request({ kind: 'time', runs });
  if (reply.kind !== 'times') throw new Error(`${peer.name}: ${reply.kind === 'failed' ? reply.message : 'answered out of turn'}`);
  return reply.milliseconds;
}

async function compare(problem: Problem, peers: PeerHandle[]): Promise<PeerRow> {
  const row: PeerRow = { problem: problem.name, date: new Date().toISOString(), target: problem.target, engines: {}, ratio: null, best: null };
  const right = await checkAll(problem, peers, row);
  const order = [...right.keys()];
  const rounds = new Map(order.map((peer) => [peer, [] as number[]]));
  const runs = new Map<PeerHandle, number>();
  const firsts = new Map<PeerHandle, number>();
  for (const peer of order) firsts.set(peer, (await timesOf(peer, 1))[0]!); // warm-up
  for (const [peer, first] of firsts) runs.set(peer, Math.max(1, Math.min(20, Math.round(roundMilliseconds / first))));
  const fastest = Math.min(...[...firsts].filter(([{ name }]) => name !== 'ct-lite').map(([, first]) => first));
  const racing = order.filter((peer) => peer.name === 'ct-lite' || firsts.get(peer)! <= outclassed * fastest);
  const ofRound = racing.reduce((sum, peer) => sum + runs.get(peer)! * firsts.get(peer)!, 0);
  const roundCount = Math.max(1, Math.min(Number(options.rounds), Math.floor((1000 * Number(options.seconds)) / ofRound)));
  for (const peer of order) if (!racing.includes(peer)) rounds.get(peer)!.push(firsts.get(peer)!);
  row.rounds = roundCount;
  for (let round = 0; round < roundCount; round++) {
    // Another one begins each round.
    for (let turn = 0; turn < racing.length; turn++) {
      const peer = racing[(turn + round) % racing.length]!;
      rounds.get(peer)!.push(median(await timesOf(peer, runs.get(peer)!)));
    }
  }
  const ours = order.find(({ name }) => name === 'ct-lite');
  const ratioOf = (peer: PeerHandle): number | null => (ours ? median(rounds.get(peer)!.map((time, round) => time / rounds.get(ours)![round]!)) : null); // of the first round where it was timed once
  for (const [peer, times] of rounds) row.engines[peer.name] = { milliseconds: median(times), least: Math.min(...times), most: Math.max(...times), error: right.get(peer)!, ratio: ratioOf(peer), version: peer.version };
  for (const peer of ours ? order : []) {
    if (peer === ours || peer.name.startsWith('torch')) continue; // printed with its ratio, but no WebGPU engine
    const ratio = ratioOf(peer)!;
    if (row.ratio === null || ratio < row.ratio) Object.assign(row, { ratio, best: peer.name });
  }
  for (const peer of peers) if (!peer.failure) await peer.request({ kind: 'release' });
  return row;
}

function describe(row: PeerRow): string {
  const lines = [row.problem];
  for (const [name, result] of Object.entries(row.engines)) {
    const label = `  ${name.padEnd(14)}`;
    if ('note' in result) lines.push(`${label}${result.note}`);
    else lines.push(`${label}${result.milliseconds.toFixed(1).padStart(9)} ms  (${result.least.toFixed(1)}–${result.most.toFixed(1)})${result.ratio === null ? '' : `  ${result.ratio.toFixed(2)}×`}  error ${result.error.toExponential(0)}`);
  }
  const verdict = row.ratio === null ? 'no correct peer' : `${row.ratio.toFixed(2)}× faster than ${row.best}; aim ${row.target}×: ${row.ratio >= row.target ? 'met' : 'MISSED'}`;
  return [...lines, `  ${verdict}`].join('\n');
}

const chosen = await requestNodeAdapter(options.adapter === undefined ? {} : { adapter: options.adapter });
print(`${describeAdapter(chosen)}; ${options.rounds} interleaved rounds, medians; Node ${process.version}`);
const peers = await contestants();
const about = { adapter: chosen.name, node: process.version, rounds: Number(options.rounds), versions: peers.filter(({ failure }) => !failure).map(({ version }) => version) };
for (const problem of problems.filter(({ name }) => name.includes(options.filter ?? ''))) {
  const row = await compare(problem, peers);
  print(describe(row));
  // After each, since a long comparison may be cut short.
  if (options.json) await mergeResults(resultsFile(chosen.name, 'peers'), about, 'rows', [row], ({ problem: name }) => name);
}
for (const peer of peers) peer.stop();
process.exit(0);
