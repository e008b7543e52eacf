/** What `npm run bench:peers` keeps of a comparison, in bench/results/<adapter>.peers.json. */

export interface PeerTime {
  /** Median, least and most of the rounds. */
  milliseconds: number;
  least: number;
  most: number;
  error: number;
  /** Median over rounds of its time over ours; null where we have none. */
  ratio: number | null;
  /** Package and version; files of before this was kept have none. */
  version?: string;
}

/** Why there is no time. */
export interface PeerNote {
  note: string;
  error?: number;
}

export interface PeerRow {
  problem: string;
  date: string;
  target: number;
  /** Rounds in which the engines took turns; files of before this was kept have none. */
  rounds?: number;
  engines: Record<string, PeerTime | PeerNote>;
  /** Median over rounds of the best correct peer's time over ours. */
  ratio: number | null;
  best: string | null;
}

export interface PeerResults {
  adapter: string;
  node: string;
  versions: string[];
  rows: PeerRow[];
}

/** Note of an engine that cannot compute the problem at all: it is no missing measurement. */
export const NOT_OFFERED = 'does not offer it';
/** How the note of an engine begins whose result differs from the reference. */
export const WRONG = 'wrong:';
