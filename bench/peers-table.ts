/** The comparison with other engines as a table of docs/PERFORMANCE.md, made of bench/results/*.peers.json. */
import { adapterTitle, dateRange, markdownTable, numberRange, threeDigits } from './document-tables.ts';
import { NOT_OFFERED, WRONG, type PeerNote, type PeerResults, type PeerRow, type PeerTime } from './peers/row.ts';

/** In the order of the columns. The WebGPU engines have a column always, PyTorch where it was timed. */
const titles: Record<string, string> = { 'jax-js': 'jax-js', tfjs: 'TensorFlow.js', onnxruntime: 'ONNX Runtime', 'torch-f32': 'PyTorch f32', 'torch-bf16': 'PyTorch bf16' };
const webGpuPeers = ['jax-js', 'tfjs', 'onnxruntime'];

/** What has to be measured: a problem's name and its aim. */
export interface ComparedProblem {
  name: string;
  target: number;
}

const isTime = (result: PeerTime | PeerNote | undefined): result is PeerTime => result !== undefined && 'milliseconds' in result;

function timeOf(result: PeerTime | PeerNote | undefined): string {
  if (!result) return 'not run';
  if (isTime(result)) return `${threeDigits(result.milliseconds)}${result.ratio === null ? '' : ` (${result.ratio.toFixed(2)}×)`}`;
  if (result.note === NOT_OFFERED) return '–';
  return result.note.startsWith(WRONG) ? 'wrong' : 'failed';
}

/** Met or missed, and which engines were no part of it although they compute the problem. */
function verdictOf(row: PeerRow): string {
  if (!isTime(row.engines['ct-lite'])) return 'no time of ours';
  if (row.ratio === null) return 'no correct peer';
  const absent = webGpuPeers.filter((name) => {
    const result = row.engines[name];
    return !result || (!isTime(result) && result.note !== NOT_OFFERED && !result.note.startsWith(WRONG));
  });
  return `${row.ratio >= row.target ? 'met' : 'MISSED'}${absent.length ? `, without ${absent.map((name) => titles[name]).join(', ')}` : ''}`;
}

function tableOf(results: readonly PeerResults[], problems: readonly ComparedProblem[]): string {
  const names = Object.keys(titles).filter((name) => webGpuPeers.includes(name) || results.some(({ rows }) => rows.some(({ engines }) => isTime(engines[name]))));
  const gone = results.flatMap(({ rows }) => rows).filter(({ problem }) => !problems.some(({ name }) => name === problem)).map(({ problem, target }) => ({ name: problem, target }));
  const all = [...new Map([...problems, ...gone].map((problem) => [problem.name, problem])).values()];
  const lines = all.flatMap(({ name, target }) =>
    results.map(({ adapter, rows }) => {
      const row = rows.find(({ problem }) => problem === name);
      if (!row) return [name, adapterTitle(adapter), 'not run', ...names.map(() => 'not run'), `${target}×`, 'not run'];
      const ours = row.engines['ct-lite'];
      return [name, adapterTitle(adapter), isTime(ours) ? threeDigits(ours.milliseconds) : timeOf(ours), ...names.map((peer) => timeOf(row.engines[peer])), `${row.target}×`, verdictOf(row)];
    }),
  );
  return markdownTable(['Case', 'Adapter', 'ct-lite, ms', ...names.map((name) => titles[name]!), 'Aim', 'Met?'], lines);
}

/** When and with what an adapter's rows were measured. */
function originOf({ adapter, node, versions, rows }: PeerResults): string {
  const used = [...new Set([...rows.flatMap(({ engines }) => Object.values(engines).flatMap((result) => (isTime(result) && result.version ? [result.version] : []))), ...versions])];
  const rounds = rows.flatMap((row) => row.rounds ?? []);
  return `${adapterTitle(adapter)} is "${adapter}", ${dateRange(rows.map(({ date }) => date))}, Node ${node.replace(/^v/, '')}${rounds.length ? `, ${numberRange(rounds)} rounds` : ''}; ${used.join(', ')}.`;
}

/** Why an engine that took part has no time, in its own words: of each engine and reason the cases, or that it was all of them. */
function reasonsOf({ adapter, rows }: PeerResults): string[] {
  const cases = new Map<string, string[]>();
  for (const { problem, engines } of rows) {
    for (const [name, result] of Object.entries(engines)) {
      if (isTime(result) || result.note === NOT_OFFERED) continue;
      const reason = `${titles[name] ?? name}: ${result.note}`;
      cases.set(reason, [...(cases.get(reason) ?? []), problem]);
    }
  }
  return [...cases].map(([reason, names]) => `- ${names.length === rows.length && rows.length > 1 ? 'every case' : names.join('; ')}, ${adapterTitle(adapter)}, ${reason}`);
}

function notRun({ adapter, rows }: PeerResults, problems: readonly ComparedProblem[]): string[] {
  const missing = problems.filter(({ name }) => !rows.some(({ problem }) => problem === name)).map(({ name }) => name);
  return missing.length ? [`- on ${adapterTitle(adapter)}: ${missing.join('; ')}`] : [];
}

/** Of each adapter that has results, in the order given. `problems` is all that the comparison knows, so that what is missing is said. */
export function peersTable(results: readonly PeerResults[], problems: readonly ComparedProblem[]): string {
  if (!results.length) return 'Nothing was compared: `npm run bench:peers -- --json` has not run.';
  const missing = results.flatMap((each) => notRun(each, problems));
  const reasons = results.flatMap(reasonsOf);
  return [
    tableOf(results, problems),
    results.map(originOf).join('\n'),
    missing.length ? ['Not run at all:', ...missing].join('\n') : '',
    reasons.length ? ['No time of an engine, and why:', ...reasons].join('\n') : '',
  ].filter(Boolean).join('\n\n');
}
