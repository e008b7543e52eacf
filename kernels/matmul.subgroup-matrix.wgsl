// Matrix product y = op(a) op(b), plan for GPUs with matrix units: a 64 x 64 tile of y a workgroup, 64 bytes of k at a time in workgroup
// memory, multiplied by four subgroups, a quadrant of 32 x 32 each.
// a: [batch, m, k] and b: [batch, k, n], read through strides, so in either orientation; y: [splits, batch, m, n]; bias: [n], or anything where has_bias is 0.
// The host appends what a configuration of the adapter fixes, since WGSL wants it constant: component_t, the type of the units' operands,
// COMPONENT_BYTES, and MATRIX_M, MATRIX_N and MATRIX_K of the m x k by k x n products that a subgroup makes at once. Sums are f32.
// LANES is four times the largest subgroup. Where subgroups are smaller there are more than four: those load and store only.
// Past the edges of a and b the tiles hold zeros; results go through workgroup memory, where edges, bias and activation are seen to, and
// which is all that a matrix may be stored to whatever m and n are. Each split sums its own stretch of k; matmul.sum-splits adds them up.
// Source: Dawn, docs/dawn/features/subgroup_matrix.md.
enable subgroups;
enable chromium_experimental_subgroup_matrix;

override LANES: u32 = 128;
override ACTIVATION: u32 = 0;

const TILE = 64u;
const QUADRANT = 32u;
const TILE_K = 64u / COMPONENT_BYTES;
const STRIDE = TILE_K + 16u / COMPONENT_BYTES; // rows begin at multiples of 16 bytes, as the units want, and in different banks
const MATRIX_ROWS = QUADRANT / MATRIX_M; // matrices of a quadrant
const MATRIX_COLUMNS = QUADRANT / MATRIX_N;
const MATRIX_SIZE = MATRIX_M * MATRIX_N;

alias Left = subgroup_matrix_left<component_t, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<component_t, MATRIX_N, MATRIX_K>;
alias Sums = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

struct Params { m: u32, n: u32, k: u32, batch: u32, splits: u32, k_per_split: u32, a_batch: u32, b_batch: u32, a_row: u32, a_k: u32, b_k: u32, b_column: u32, has_bias: u32, slope: f32 }

@group(0) @binding(0) var<storage, read> a: array<a_t>;
@group(0) @binding(1) var<storage, read> b: array<b_t>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<y_t>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/matmul-epilogue.wgsl"
#include "include/matmul-bias.wgsl"

var<workgroup> tile_a: array<component_t, TILE * STRIDE>; // [row, k]
var<workgroup> tile_b: array<component_t, TILE * STRIDE>; // [column, k]
var<workgroup> tile_y: array<f32, 4u * MATRIX_SIZE>; // [quadrant, row, column], one matrix of each

// Which (along m or n, along k) element of a tile a loader's turn brings: along k first where k is contiguous.
fn tile_element(i: u32, k_is_contiguous: bool) -> vec2u {
  return select(vec2u(i % TILE, i / TILE), vec2u(i / TILE_K, i % TILE_K), k_is_contiguous);
}

fn load_tiles(lane: u32, first_row: u32, first_column: u32, first_k: u32, end_k: u32, a_start: u32, b_start: u32) {
  for (var i = lane; i < TILE * TILE_K; i += LANES) {
    let at_a = tile_element(i, params.a_k == 1u);
    let row = first_row + at_a.x;
    let k_of_a = first_k + at_a.y;
    var value = component_t();
    if (row < params.m && k_of_a < end_k) {
      value = component_t(a[a_start + row * params.a_row + k_of_a * params.a_k]);
    }
    tile_a[at_a.x * STRIDE + at_a.y] = value;
    let at_b = tile_element(i, params.b_k == 1u);
    let column = first_column + at_b.x;
    let k_of_b = first_k + at_b.y;
    value = component_t();
    if (column < params.n && k_of_b < end_k) {
      value = component_t(b[b_start + k_of_b * params.b_k + column * params.b_column]);
    }
    tile_b[at_b.x * STRIDE + at_b.y] = value;
  }
}

// One matrix of each quadrant, the number `matrix` in it, from tile_y to y.
fn store_matrices(lane: u32, matrix: u32, first_row: u32, first_column: u32, start: u32) {
  for (var i = lane; i < 4u * MATRIX_SIZE; i += LANES) {
    let quadrant = i / MATRIX_SIZE;
    let element = i % MATRIX_SIZE;
    let row = first_row + quadrant / 2u * QUADRANT + matrix / MATRIX_COLUMNS * MATRIX_M + element / MATRIX_N;
    let column = first_column + quadrant % 2u * QUADRANT + matrix % MATRIX_COLUMNS * MATRIX_N + element % MATRIX_N;
    if (row < params.m && column < params.n) {
      y[start + row * params.n + column] = y_t(epilogue(tile_y[i] + bias_at(column), params.slope));
    }
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32) {
  let row_tiles = (params.m + TILE - 1u) / TILE;
  let column_tiles = (params.n + TILE - 1u) / TILE;
  let tile = flat_workgroup(group, groups);
  let column_tile = (tile / row_tiles) % column_tiles;
  let matrix = tile / (row_tiles * column_tiles); // split * batch + batch index
  if (matrix >= params.batch * params.splits) {
    return;
  }
  let first_row = (tile % row_tiles) * TILE;
  let first_column = column_tile * TILE;
  let split = matrix / params.batch;
  let first_k = split * params.k_per_split;
  let end_k = min(first_k + params.k_per_split, params.k);
  let a_start = (matrix % params.batch) * params.a_batch;
  let b_start = (matrix % params.batch) * params.b_batch;
  let multiplies = subgroup < 4u;
  let own_rows = subgroup / 2u * QUADRANT * STRIDE; // where a quadrant's rows begin in tile_a
  let own_columns = subgroup % 2u * QUADRANT * STRIDE;
  var sums: array<Sums, MATRIX_ROWS * MATRIX_COLUMNS>;
  for (var start_k = first_k; start_k < end_k; start_k += TILE_K) {
    load_tiles(lane, first_row, first_column, start_k, end_k, a_start, b_start);
    workgroupBarrier();
    if (multiplies) {
      for (var step = 0u; step < TILE_K; step += MATRIX_K) {
        var right: array<Right, MATRIX_COLUMNS>;
        for (var j = 0u; j < MATRIX_COLUMNS; j++) {
          right[j] = subgroupMatrixLoad<Right, col_major>(&tile_b, own_columns + j * MATRIX_N * STRIDE + step, STRIDE);
        }
        for (var i = 0u; i < MATRIX_ROWS; i++) {
          let left = subgroupMatrixLoad<Left, row_major>(&tile_a, own_rows + i * MATRIX_M * STRIDE + step, STRIDE);
          for (var j = 0u; j < MATRIX_COLUMNS; j++) {
            sums[i * MATRIX_COLUMNS + j] = subgroupMatrixMultiplyAccumulate(left, right[j], sums[i * MATRIX_COLUMNS + j]);
          }
        }
      }
    }
    workgroupBarrier();
  }
  let start = matrix * params.m * params.n;
  for (var i = 0u; i < MATRIX_ROWS * MATRIX_COLUMNS; i++) {
    if (multiplies) {
      subgroupMatrixStore<row_major>(&tile_y, subgroup * MATRIX_SIZE, sums[i], MATRIX_N);
    }
    workgroupBarrier();
    store_matrices(lane, i, first_row, first_column, start);
    workgroupBarrier();
  }
}
