/** How near a model's view of compressed patches is to the teacher's view of the raw ones (patch-fast-result.ts says what is measured). */
import { noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';
import { fastDistances, type EncoderOutput, type FastProjectors, type Tap, type VisionEncoder } from '../model/index.ts';
import { PATCH_MEASURES, type PatchMeasure } from './patch-fast-result.ts';
import { uploadVolumes, type VolumeValues } from './upload-volumes.ts';

/** Of LayerNorm, PyTorch's default. */
const LAYER_NORM_EPSILON = 1e-5;

export interface PatchModel {
  vision: VisionEncoder;
  /** null where the model has the teacher's own channels. */
  projectors: FastProjectors | null;
  /** Its pooled output can be compared with the teacher's. */
  comparesPooled: boolean;
}

/** Means over the raw training patches: what all tokens and all patches have in common. */
export interface TeacherCentre {
  /** Of F̂_T, [C] for each tap. */
  tokens: Float64Array[];
  /** Of the pooled output, [C]. */
  pooled: Float64Array;
}

/** What the teacher makes of a group of raw patches, on the GPU and read back. */
export interface TeacherView {
  output: EncoderOutput;
  host: HostView;
}

/** F̂ [B·N, C] of each tap, and the pooled outputs [B, C]. */
export interface HostView {
  tokens: Float64Array[];
  pooled: Float32Array;
  /** C of tokens and pooled outputs. */
  channels: number;
}

/** One value a patch, null where the measure does not apply. */
export type PatchValues = Record<PatchMeasure, (number | null)[]>;

/** Patches [size, 1, D, Y, X] through an encoder, without history; in the caller's scope. */
export function encodePatches(engine: Engine, vision: VisionEncoder, values: VolumeValues, shape: readonly number[]): EncoderOutput {
  return noGrad(() => engine.scope(() => {
    const { taps, pooled } = vision.forward(uploadVolumes(engine, values, shape));
    return { taps, pooled };
  }));
}

/** The teacher on raw patches; its tensors belong to the caller's scope. */
export async function viewOfTeacher(engine: Engine, teacher: VisionEncoder, raw: VolumeValues, shape: readonly number[]): Promise<TeacherView> {
  const output = encodePatches(engine, teacher, raw, shape);
  return { output, host: await readView(output.taps.map(({ features }) => features), output.pooled) };
}

/** Means over the teacher's views of raw training patches. */
export function teacherCentre(views: readonly HostView[]): TeacherCentre {
  if (!views.length) throw new Error('teacherCentre: takes at least one view of training patches, got none');
  const { channels } = views[0]!;
  return {
    tokens: views[0]!.tokens.map((_, tap) => columnMean(views.map(({ tokens }) => tokens[tap]!), channels)),
    pooled: columnMean(views.map(({ pooled }) => pooled), channels),
  };
}

/** Mean of rows [·, columns] that lie in several arrays. */
function columnMean(parts: readonly ArrayLike<number>[], columns: number): Float64Array {
  const mean = new Float64Array(columns);
  let rows = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at++) mean[at % columns]! += part[at]!;
    rows += part.length / columns;
  }
  return mean.map((sum) => sum / rows);
}

/** Measures a model on the patches that `view` shows the teacher raw. `output` is the model's own, on what it was given. */
export async function measurePatches(view: TeacherView, output: EncoderOutput, { projectors, comparesPooled }: PatchModel, centre: TeacherCentre): Promise<PatchValues> {
  const { engine } = output.pooled;
  const size = output.pooled.shape[0]!;
  return engine.scope(async () => {
    const distances = fastDistances({ student: output.taps, teacher: view.output.taps, projectors: output.taps.map((_, tap) => projectors?.taps[tap] ?? null) });
    const own = await readView(output.taps.map((tap, index) => project(tap, projectors, index)), output.pooled);
    const terms = await Promise.all([distances.style, distances.position, distances.channel, distances.feature].map((term) => term.toArray()));
    const values = Object.fromEntries(PATCH_MEASURES.map((measure) => [measure, new Array<number | null>(size).fill(null)])) as PatchValues;
    for (let patch = 0; patch < size; patch++) {
      const cosines = view.host.tokens.map((target, tap) => tokenCosines(own.tokens[tap]!, target, centre.tokens[tap]!, patch, size));
      values.featureCosine[patch] = mean(cosines.map(({ plain }) => plain));
      values.centredCosine[patch] = mean(cosines.map(({ centred }) => centred));
      values.gram[patch] = terms[0]![patch]!;
      values.position[patch] = terms[1]![patch]!;
      values.channel[patch] = terms[2]![patch]!;
      values.alignment[patch] = terms[3]![patch]!;
      if (!comparesPooled) continue;
      const columns = centre.pooled.length;
      values.pooledCosine[patch] = rowCosine(own.pooled, view.host.pooled, patch * columns, centre.pooled);
    }
    return values;
  });
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function project({ features }: Tap, projectors: FastProjectors | null, tap: number): Tensor {
  if (!projectors) return features;
  const { weight, bias } = projectors.taps[tap]!;
  return noGrad(() => ops.linear(features, weight, bias));
}

async function readView(features: readonly Tensor[], pooled: Tensor): Promise<HostView> {
  const read = await Promise.all([...features, pooled].map((tensor) => tensor.toArray()));
  return { tokens: features.map(({ shape }, tap) => normalizeRows(read[tap]!, shape[2]!)), pooled: read.at(-1) as Float32Array, channels: pooled.shape[1]! };
}

/** Affine-free LayerNorm of each row. */
export function normalizeRows(x: ArrayLike<number>, columns: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let first = 0; first < x.length; first += columns) {
    let [sum, squares] = [0, 0];
    for (let c = 0; c < columns; c++) sum += x[first + c]!;
    const average = sum / columns;
    for (let c = 0; c < columns; c++) squares += (x[first + c]! - average) ** 2;
    const scale = 1 / Math.sqrt(squares / columns + LAYER_NORM_EPSILON);
    for (let c = 0; c < columns; c++) y[first + c] = (x[first + c]! - average) * scale;
  }
  return y;
}

/** Mean over the tokens of one patch of [size·N, C] of the cosines of its rows, as they are and less `centre`. */
function tokenCosines(a: Float64Array, b: Float64Array, centre: Float64Array, patch: number, size: number): { plain: number; centred: number } {
  const columns = centre.length;
  const tokens = a.length / columns / size;
  const zero = new Float64Array(columns);
  let [plain, centred] = [0, 0];
  for (let token = 0; token < tokens; token++) {
    const first = (patch * tokens + token) * columns;
    plain += rowCosine(a, b, first, zero);
    centred += rowCosine(a, b, first, centre);
  }
  return { plain: plain / tokens, centred: centred / tokens };
}

/** Cosine of the rows at `first`, each less `centre`; 0 where one of them is. */
export function rowCosine(a: ArrayLike<number>, b: ArrayLike<number>, first: number, centre: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let c = 0; c < centre.length; c++) {
    const [u, v] = [a[first + c]! - centre[c]!, b[first + c]! - centre[c]!];
    dot += u * v;
    aa += u * u;
    bb += v * v;
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
