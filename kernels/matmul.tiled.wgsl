// Matrix product y = op(a) op(b), plan for real GPUs: a 64 x 64 tile of y a workgroup, 16 of k at a time in workgroup memory.
// a: [batch, m, k] and b: [batch, k, n], read through strides, so in either orientation; y: [splits, batch, m, n]; bias: [n], or anything where has_bias is 0.
// 256 invocations, each 4 rows x 4 columns at distance 16: invocations side by side store side by side and read different banks.
// The tile loads run along whichever axis is contiguous. Each split sums its own stretch of k; matmul.sum-splits adds them up.
override ACTIVATION: u32 = 0;

const TILE = 64u;
const TILE_K = 16u;
const STRIDE = 65u; // one more than TILE: writes along k fall into different banks

struct Params { m: u32, n: u32, k: u32, batch: u32, splits: u32, k_per_split: u32, a_batch: u32, b_batch: u32, a_row: u32, a_k: u32, b_k: u32, b_column: u32, has_bias: u32, slope: f32 }

@group(0) @binding(0) var<storage, read> a: array<a_t>;
@group(0) @binding(1) var<storage, read> b: array<b_t>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<y_t>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/matmul-epilogue.wgsl"
#include "include/matmul-bias.wgsl"

var<workgroup> tile_a: array<f32, TILE_K * STRIDE>; // [k, row]
var<workgroup> tile_b: array<f32, TILE_K * STRIDE>; // [k, column]

// Which (along m or n, along k) element of a tile a loader's turn brings: along k first where k is contiguous.
fn tile_element(i: u32, k_is_contiguous: bool) -> vec2u {
  return select(vec2u(i % TILE, i / TILE), vec2u(i / TILE_K, i % TILE_K), k_is_contiguous);
}

fn load_tiles(lane: u32, first_row: u32, first_column: u32, first_k: u32, end_k: u32, a_start: u32, b_start: u32) {
  for (var i = lane; i < TILE * TILE_K; i += 256u) {
    let at_a = tile_element(i, params.a_k == 1u);
    let row = first_row + at_a.x;
    let k_of_a = first_k + at_a.y;
    var value = 0.0;
    if (row < params.m && k_of_a < end_k) {
      value = f32(a[a_start + row * params.a_row + k_of_a * params.a_k]);
    }
    tile_a[at_a.y * STRIDE + at_a.x] = value;
    let at_b = tile_element(i, params.b_k == 1u);
    let column = first_column + at_b.x;
    let k_of_b = first_k + at_b.y;
    value = 0.0;
    if (column < params.n && k_of_b < end_k) {
      value = f32(b[b_start + k_of_b * params.b_k + column * params.b_column]);
    }
    tile_b[at_b.y * STRIDE + at_b.x] = value;
  }
}

fn store_row(row: u32, column: u32, start: u32, sums: vec4f) {
  if (row >= params.m) {
    return;
  }
  for (var j = 0u; j < 4u; j++) {
    let at = column + 16u * j;
    if (at < params.n) {
      y[start + row * params.n + at] = y_t(epilogue(sums[j] + bias_at(at), params.slope));
    }
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
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
  let row = lane / 16u;
  let column = lane % 16u;
  var sums0 = vec4f();
  var sums1 = vec4f();
  var sums2 = vec4f();
  var sums3 = vec4f();
  for (var start_k = first_k; start_k < end_k; start_k += TILE_K) {
    load_tiles(lane, first_row, first_column, start_k, end_k, a_start, b_start);
    workgroupBarrier();
    for (var step = 0u; step < TILE_K; step++) {
      let at_a = step * STRIDE + row;
      let at_b = step * STRIDE + column;
      let values = vec4f(tile_b[at_b], tile_b[at_b + 16u], tile_b[at_b + 32u], tile_b[at_b + 48u]);
      sums0 += tile_a[at_a] * values;
      sums1 += tile_a[at_a + 16u] * values;
      sums2 += tile_a[at_a + 32u] * values;
      sums3 += tile_a[at_a + 48u] * values;
    }
    workgroupBarrier();
  }
  let start = matrix * params.m * params.n;
  let sums = array<vec4f, 4>(sums0, sums1, sums2, sums3);
  for (var i = 0u; i < 4u; i++) {
    store_row(first_row + row + 16u * i, first_column + column, start, sums[i]);
  }
}
