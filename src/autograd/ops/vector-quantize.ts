import searchSource from '../../../kernels/vector-quantize.search.wgsl';
import { defineKernel } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { copyAlongAxis } from './copy-along-axis.ts';
import { selectRows } from './embedding.ts';
import { gemm } from './matmul.ts';
import { normalize } from './normalize.ts';
import { sliceOf } from './slice.ts';

export interface VectorQuantizeOptions {
  /** Most bytes of similarities that are held at once. Default 64 MiB. */
  tileBytes?: number;
}

export interface Quantized {
  /** The chosen rows of the codebook, [N, C]. */
  quantised: Tensor;
  /** Which they are, u32 [N]. */
  ids: Tensor;
}

const defaultTileBytes = 64 * 2 ** 20;

const searchKernel = defineKernel({
  label: 'vector-quantize.search',
  source: searchSource,
  inputs: ['scores'],
  outputs: ['ids'],
  params: { rows: 'u32', codes: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }, { WORKGROUP_SIZE }) => Math.ceil(rows! / WORKGROUP_SIZE!),
  split: ({ rows }) => [{ extent: rows!, bindings: { scores: { inner: 1 }, ids: {} }, params: (_, count) => ({ rows: count }) }],
});

/**
 * Vector quantisation by cosine similarity (vector-quantize-pytorch 1.1.2, `use_cosine_sim`; MODEL §1.1.7 [C]): every row becomes
 * codebook[argmax_k cos(x_n, codebook_k)], the codebook's row as it is stored, not normalised.
 *
 * `x` [N, C], `codebook` [K, C]. The similarities are made for a tile of rows at a time. Gradient: straight through to x
 * (van den Oord et al. 2017), none to the codebook, which the original moves by averages.
 */
export const vectorQuantize = defineOp('vectorQuantize', (x: Tensor, codebook: Tensor, { tileBytes = defaultTileBytes }: VectorQuantizeOptions = {}): Quantized => {
  checkDType(x, 'vectorQuantize', 'x');
  checkDType(codebook, 'vectorQuantize', 'codebook');
  checkTensor(x, 'vectorQuantize', 'x', [null, null]);
  checkTensor(codebook, 'vectorQuantize', 'codebook', [null, x.shape[1]!]);
  const { engine } = x;
  const rows = x.shape[0]!;
  const codes = codebook.shape[0]!;
  // A row's length scales all its similarities alike: only the codes are normalised.
  const directions = normalize(codebook.detach());
  const ids = engine.empty([rows], 'u32');
  const tileRows = Math.max(1, Math.min(rows, Math.floor(Math.min(tileBytes, engine.device.bindingLimit) / (4 * codes))));
  for (let first = 0; first < rows; first += tileRows) {
    engine.scope(() => {
      const last = Math.min(rows, first + tileRows);
      const scores = gemm(directions, sliceOf(x, 0, first, last), { transposeB: true });
      const found = engine.empty([last - first], 'u32');
      runKernel(searchKernel, { scores, ids: found }, { rows: last - first, codes });
      copyAlongAxis(found, ids, 0, last - first, 0, first);
    });
  }
  return { quantised: record(selectRows(codebook, ids), 'vectorQuantize', [x], {}, (dY) => [dY]), ids };
});

/** Float64 reference of `vectorQuantize`: the codes of the rows of `x` [N, columns]. Plain loops, for tests. */
export function vectorQuantizeReference(x: Float64Array, codebook: Float64Array, columns: number): Uint32Array {
  const cosine = (row: number, code: number): number => {
    let [dot, square] = [0, 0];
    for (let c = 0; c < columns; c++) {
      dot += x[row * columns + c]! * codebook[code * columns + c]!;
      square += codebook[code * columns + c]! ** 2;
    }
    return dot / Math.max(Math.sqrt(square), 1e-12);
  };
  return Uint32Array.from({ length: x.length / columns }, (_, row) => {
    let best = 0;
    for (let code = 1; code < codebook.length / columns; code++) if (cosine(row, code) > cosine(row, best)) best = code;
    return best;
  });
}
