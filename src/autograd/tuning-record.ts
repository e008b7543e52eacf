/** Tuned plans as text: of one adapter and one set of kernels. A record of others, or one that is damaged, is as good as none. */
import { allKernels, type Device, type TuningStore } from '../engine/index.ts';
import type { PlanChoices } from './plan-table.ts';

const format = 'ct-lite-plans';
/** Of this file, and of what the host does around the kernels (splits, layouts): raise it when that changes what is fastest. */
const version = 1;

/** What tuned plans hold for. */
export interface TuningIdentity {
  /** The adapter with its driver, as the adapter describes itself, and the features that plans depend on. */
  adapter: string;
  /** Hash of all kernels: with a changed one, measure again. */
  kernels: string;
}

export function tuningIdentity({ adapterInfo, gpu }: Pick<Device, 'adapterInfo' | 'gpu'>): TuningIdentity {
  const { vendor, architecture, device, description, subgroupMinSize = 0, subgroupMaxSize = 0 } = adapterInfo;
  const features = ['subgroups', 'shader-f16', 'chromium-experimental-subgroup-matrix'].filter((feature) => gpu.features.has(feature as GPUFeatureName));
  const name = [vendor, architecture, device, description].filter(Boolean).join(' / ') || 'unnamed adapter';
  return { adapter: `${name}; subgroups ${subgroupMinSize}-${subgroupMaxSize}; ${features.join(' ')}`, kernels: kernelsHash() };
}

function kernelsHash(): string {
  return fnv1a(allKernels().sort((a, b) => (a.label < b.label ? -1 : 1)).map(({ label, source, constants }) => `${label}\n${source}\n${JSON.stringify(constants ?? {})}`).join('\n'));
}

/** FNV-1a, twice 32 bits: told apart are versions of one program, not what somebody forged. */
function fnv1a(text: string): string {
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (let index = 0; index < text.length; index++) {
    a = Math.imul(a ^ text.charCodeAt(index), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(index), 0x85ebca6b);
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

/** A name for the adapter's record that any file system takes. */
export function recordName({ adapter }: TuningIdentity): string {
  const readable = adapter.toLowerCase().replace(/;.*$/, '').replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 60);
  return `plans-${readable}-${fnv1a(adapter).slice(0, 8)}`;
}

export function formatRecord({ adapter, kernels }: TuningIdentity, plans: PlanChoices): string {
  return `${JSON.stringify({ format, version, adapter, kernels, plans }, null, 1)}\n`;
}

/** The plans of a record made for `identity`; null where it was made for another adapter or other kernels. Throws where it is none. */
export function parseRecord(text: string, { adapter, kernels }: TuningIdentity): PlanChoices | null {
  const record = JSON.parse(text) as { format?: unknown; version?: unknown; adapter?: unknown; kernels?: unknown; plans?: unknown } | null;
  if (record?.format !== format) throw new Error(`is no record of tuned plans (format must be "${format}", got ${JSON.stringify(record?.format)})`);
  if (record.version !== version || record.adapter !== adapter || record.kernels !== kernels) return null;
  const { plans } = record;
  const isRecord = typeof plans === 'object' && plans !== null && Object.values(plans).every((plan) => typeof plan === 'string');
  if (!isRecord) throw new Error('its plans must be names by key');
  return plans as PlanChoices;
}

/** What the store knows; nothing, and a warning, where it fails or holds something else. */
export async function readRecord(store: TuningStore | null, identity: TuningIdentity, warnings: string[]): Promise<PlanChoices> {
  if (!store) return {};
  try {
    const text = await store.read(recordName(identity));
    return (text !== null && parseRecord(text, identity)) || {};
  } catch (error) {
    warnings.push(`tune: the stored plans cannot be read and are measured again: ${(error as Error).message}`);
    return {};
  }
}

/** Adds to the record; what another process wrote meanwhile stays. */
export async function writeRecord(store: TuningStore | null, identity: TuningIdentity, plans: PlanChoices, warnings: string[]): Promise<void> {
  if (!store) return;
  const before = await readRecord(store, identity, []);
  try {
    await store.write(recordName(identity), formatRecord(identity, { ...before, ...plans }));
  } catch (error) {
    warnings.push(`tune: the plans found cannot be kept, so the next process measures them again: ${(error as Error).message}`);
  }
}
