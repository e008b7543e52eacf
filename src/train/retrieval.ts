/**
 * Retrieval between volumes and reports by the cosine of their embeddings: recall at k, in both directions.
 *
 * Candidates on the report side are the different reports: reconstructions of a scan share one (by report id), and reports of the
 * same words are one, since nobody could tell them apart. A query's rank is that of its best match; every other candidate
 * that scores at least as much stands before it, so that ties count against the model and the order of the files plays no part.
 */
import { drawPatients, percentileInterval, type BootstrapOptions, type Interval, BOOTSTRAP_RESAMPLES } from './bootstrap.ts';

export const RECALL_DEPTHS = [5, 10, 50, 100] as const;

export interface Recall {
  k: number;
  /** Share of the queries with a match among the first k. */
  recall: number;
  /** By patients, over the queries; the candidates stay the same. */
  interval: Interval | null;
  /** What random order would give. */
  chance: number;
}

export interface DirectionResult {
  queries: number;
  candidates: number;
  /** Only k below the number of candidates: beyond, recall is 1 for any model. */
  recalls: Recall[];
  /** Depths left out for that reason. */
  leftOut: number[];
  medianRank: number;
}

export interface RetrievalResult {
  volumeToReport: DirectionResult;
  reportToVolume: DirectionResult;
}

export interface RetrievalScan {
  patientId: string;
  reportId: string;
  report: string;
}

/** The different reports of some scans, and which one each scan has. */
export function distinctReports(scans: readonly RetrievalScan[]): { texts: string[]; reportOf: Uint32Array } {
  const textOf = new Map<string, string>();
  for (const { reportId, report } of scans) if (!textOf.has(reportId)) textOf.set(reportId, report.trim());
  const texts = [...new Set(scans.map(({ reportId }) => textOf.get(reportId)!))];
  const numberOf = new Map(texts.map((text, number) => [text, number]));
  return { texts, reportOf: Uint32Array.from(scans, ({ reportId }) => numberOf.get(textOf.get(reportId)!)!) };
}

/**
 * @param volumes embeddings, one a scan
 * @param reports embeddings, one a text of `distinctReports(scans)`
 * @throws Error where a similarity is NaN or the numbers don't fit
 */
export function measureRetrieval(scans: readonly RetrievalScan[], volumes: readonly Float32Array[], reports: readonly Float32Array[], options: BootstrapOptions): RetrievalResult {
  const { texts, reportOf } = distinctReports(scans);
  if (volumes.length !== scans.length || reports.length !== texts.length) {
    throw new Error(`measureRetrieval: one embedding a scan and a report is needed, ${scans.length} and ${texts.length}, got ${volumes.length} and ${reports.length}`);
  }
  const similarities = similarityMatrix(volumes, reports);
  const columns = reports.length;
  const volumeRanks = Float64Array.from(scans, (_, row) => rankOf(columns, (at) => similarities[row * columns + at]!, (at) => at === reportOf[row]));
  const reportRanks = Float64Array.from(reports, (_, column) => rankOf(volumes.length, (at) => similarities[at * columns + column]!, (at) => reportOf[at] === column));
  const volumesOf = new Uint32Array(columns);
  for (const report of reportOf) volumesOf[report]! += 1;
  // A report of several patients belongs, as a query, to the first of them.
  const firstPatient = Array.from(reports, (_, column) => scans[reportOf.indexOf(column)]!.patientId);
  return {
    volumeToReport: direction(volumeRanks, columns, () => 1, scans.map(({ patientId }) => patientId), options),
    reportToVolume: direction(reportRanks, volumes.length, (query) => volumesOf[query]!, firstPatient, options),
  };
}

function similarityMatrix(volumes: readonly Float32Array[], reports: readonly Float32Array[]): Float64Array {
  const all = new Float64Array(volumes.length * reports.length);
  volumes.forEach((volume, row) => reports.forEach((report, column) => {
    let sum = 0;
    for (let n = 0; n < volume.length; n += 1) sum += volume[n]! * report[n]!;
    if (Number.isNaN(sum)) throw new Error(`measureRetrieval: the similarity of volume ${row} and report ${column} is NaN; the model's output is broken`);
    all[row * reports.length + column] = sum;
  }));
  return all;
}

function rankOf(candidates: number, score: (at: number) => number, matches: (at: number) => boolean): number {
  let best = -Infinity;
  for (let at = 0; at < candidates; at += 1) if (matches(at) && score(at) > best) best = score(at);
  let rank = 1;
  for (let at = 0; at < candidates; at += 1) if (!matches(at) && score(at) >= best) rank += 1;
  return rank;
}

function direction(ranks: Float64Array, candidates: number, matches: (query: number) => number, patientIds: readonly string[], options: BootstrapOptions): DirectionResult {
  const { resamples = BOOTSTRAP_RESAMPLES } = options;
  const depths = RECALL_DEPTHS.filter((k) => k < candidates);
  const found: number[][] = depths.map(() => []);
  const { patientOf, draws } = drawPatients(patientIds, options);
  for (const drawn of draws) {
    let queries = 0;
    const hits = depths.map(() => 0);
    for (let query = 0; query < ranks.length; query += 1) {
      const weight = drawn[patientOf[query]!]!;
      queries += weight;
      depths.forEach((k, at) => ranks[query]! <= k && (hits[at]! += weight));
    }
    hits.forEach((hit, at) => found[at]!.push(hit / queries));
  }
  const sorted = [...ranks].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return {
    queries: ranks.length,
    candidates,
    recalls: depths.map((k, at) => ({
      k,
      recall: ranks.reduce((hits, rank) => hits + (rank <= k ? 1 : 0), 0) / ranks.length,
      interval: percentileInterval(found[at]!, resamples),
      chance: ranks.reduce((sum, _, query) => sum + chanceOf(candidates, matches(query), k), 0) / ranks.length,
    })),
    leftOut: RECALL_DEPTHS.filter((k) => k >= candidates),
    medianRank: sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2,
  };
}

/** Probability that k of the candidates drawn at random hold one of the matches. */
function chanceOf(candidates: number, matches: number, k: number): number {
  let none = 1;
  for (let n = 0; n < k; n += 1) none *= Math.max(0, candidates - matches - n) / (candidates - n);
  return 1 - none;
}
