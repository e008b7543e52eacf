/** Finds the state dictionary in what `torch.save` was given: the dictionary itself, or one inside a training checkpoint. */
import { PickleTensor, PickleTuple, quoted, type PickleValue } from './pickle-values.ts';

/** Where training programs keep the weights, most wanted first. */
const USUAL_KEYS = ['state_dict', 'model_state_dict', 'model', 'module', 'net', 'network', 'weights', 'model_ema', 'ema'];
const MAX_DEPTH = 4;

type Fail = (rule: string) => Error;
type Dict = ReadonlyMap<PickleValue, PickleValue>;

interface Candidate {
  path: readonly PickleValue[];
  tensors: Map<string, PickleTensor>;
}

/**
 * Tensors by name. A dictionary that has tensors itself is taken as it is; otherwise the one under the usual keys of a training
 * checkpoint, or the only one with tensors.
 */
export function findStateDict(root: PickleValue, fail: Fail): Map<string, PickleTensor> {
  const candidates = dictionariesOfTensors(root);
  const [best] = candidates.filter(({ path }) => path.every(isUsual)).sort((a, b) => rank(a) - rank(b));
  if (best) return best.tensors;
  if (candidates.length > 1) {
    throw fail(`it holds ${candidates.length} dictionaries of tensors (${candidates.slice(0, 8).map(({ path }) => path.map(describe).join(' › ')).join(', ')}) and none under a usual name (${USUAL_KEYS.slice(0, 3).join(', ')}); save the wanted one alone`);
  }
  if (!candidates.length) throw fail(`it holds no dictionary of tensors but ${describe(root)}; save it with torch.save(model.state_dict(), "weights.pt")`);
  return candidates[0]!.tensors;
}

/** Outermost dictionaries with tensors, each looked at once: a dictionary may be in itself, or in many places. */
function dictionariesOfTensors(root: PickleValue): Candidate[] {
  const found: Candidate[] = [];
  const visited = new Set<PickleValue>();
  let level: { path: readonly PickleValue[]; value: PickleValue }[] = [{ path: [], value: root }];
  for (let depth = 0; depth < MAX_DEPTH && level.length; depth++) {
    const next: typeof level = [];
    for (const { path, value } of level) {
      if (!(value instanceof Map) || visited.has(value)) continue;
      visited.add(value);
      const tensors = tensorsOf(value);
      if (tensors.size) found.push({ path, tensors });
      else for (const [key, child] of value) if (child instanceof Map) next.push({ path: [...path, key], value: child });
    }
    level = next;
  }
  return found;
}

const isUsual = (key: PickleValue): boolean => typeof key === 'string' && USUAL_KEYS.includes(key);
const rank = ({ path }: Candidate): number => path.reduce<number>((sum, key) => sum * USUAL_KEYS.length + USUAL_KEYS.indexOf(key as string), 0);

function tensorsOf(dict: Dict): Map<string, PickleTensor> {
  const tensors = new Map<string, PickleTensor>();
  for (const [key, value] of dict) if (typeof key === 'string' && value instanceof PickleTensor) tensors.set(key, value);
  return tensors;
}

function describe(value: PickleValue): string {
  if (value instanceof Map) return `a dictionary with the keys ${[...value.keys()].slice(0, 8).map((key) => (typeof key === 'string' ? quoted(key) : typeof key)).join(', ') || '(none)'}`;
  if (value instanceof PickleTensor) return `one tensor [${value.shape.join(', ')}]`;
  if (value instanceof PickleTuple || Array.isArray(value)) return 'a list';
  return typeof value === 'string' ? quoted(value) : String(value);
}
