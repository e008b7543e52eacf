/** How much memory a run may take where nobody says it. */
import { freemem, totalmem } from 'node:os';

/** Of what there is. */
const share = 0.7;
/** WebGPU does not tell how much memory a GPU has; few that anybody trains on have less. Exceeding it is no error. */
const assumedBytes = 8 * 2 ** 30;

export interface DefaultBudget {
  bytes: number;
  /** `available`: measured on this machine. `assumed`: nobody knows. */
  origin: 'available' | 'assumed';
}

/** 70 % of the memory that is free, of adapters that compute on the CPU; of the whole, of Apple's GPUs, which share it; else of 8 GiB. */
export function defaultMemoryBudget(kind: 'hardware' | 'software', vendor: string): DefaultBudget {
  // availableMemory heeds the limits of containers, but is not in every Node 20.
  if (kind === 'software') return { bytes: Math.floor(share * (process.availableMemory?.() ?? freemem())), origin: 'available' };
  if (/apple/i.test(vendor)) return { bytes: Math.floor(share * totalmem()), origin: 'available' };
  return { bytes: Math.floor(share * assumedBytes), origin: 'assumed' };
}
