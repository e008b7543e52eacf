// Matrix product y = op(a) b, plan for CPU adapters, for any extents: no workgroup memory.
// a: [batch, m, k] read through strides (so either orientation), b: [batch, k, n], y: [splits, batch, m, n]; bias: [n], or anything where has_bias is 0.
// A workgroup makes 8 rows x 4 LANES columns of one matrix. Its rows follow from the workgroup alone, so that the reads of a
// are uniform; an invocation owns columns lane + LANES j, so that neighbours read neighbouring addresses of b.
// Each split sums its own stretch of k; matmul.sum-splits adds them up.
override LANES: u32 = 32;

struct Params { m: u32, n: u32, k: u32, batch: u32, splits: u32, k_per_split: u32, a_batch: u32, b_batch: u32, a_row: u32, a_k: u32, has_bias: u32 }

@group(0) @binding(0) var<storage, read> a: array<a_t>;
@group(0) @binding(1) var<storage, read> b: array<b_t>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<y_t>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/matmul-bias.wgsl"
#include "include/matmul-store-row.wgsl"

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row_tiles = (params.m + 7u) / 8u;
  let column_tiles = (params.n + 4u * LANES - 1u) / (4u * LANES);
  let tile = flat_workgroup(group, groups);
  let column_tile = (tile / row_tiles) % column_tiles;
  let matrix = tile / (row_tiles * column_tiles); // split * batch + batch index
  if (matrix >= params.batch * params.splits) {
    return;
  }
  let first_row = (tile % row_tiles) * 8u;
  let column = vec4u(column_tile * 4u * LANES + lane) + vec4u(0u, 1u, 2u, 3u) * LANES;
  // Past the edges the last row or column is computed again and not stored: no branches in the loop.
  let last_row = params.m - 1u;
  let last_column = params.n - 1u;
  let split = matrix / params.batch;
  let first_k = split * params.k_per_split;
  let end_k = min(first_k + params.k_per_split, params.k);
  let a_start = (matrix % params.batch) * params.a_batch;
  let b_start = (matrix % params.batch) * params.b_batch + first_k * params.n;
  var at_a0 = a_start + first_k * params.a_k + min(first_row + 0u, last_row) * params.a_row;
  var at_a1 = a_start + first_k * params.a_k + min(first_row + 1u, last_row) * params.a_row;
  var at_a2 = a_start + first_k * params.a_k + min(first_row + 2u, last_row) * params.a_row;
  var at_a3 = a_start + first_k * params.a_k + min(first_row + 3u, last_row) * params.a_row;
  var at_a4 = a_start + first_k * params.a_k + min(first_row + 4u, last_row) * params.a_row;
  var at_a5 = a_start + first_k * params.a_k + min(first_row + 5u, last_row) * params.a_row;
  var at_a6 = a_start + first_k * params.a_k + min(first_row + 6u, last_row) * params.a_row;
  var at_a7 = a_start + first_k * params.a_k + min(first_row + 7u, last_row) * params.a_row;
  var at_b0 = b_start + min(column[0], last_column);
  var at_b1 = b_start + min(column[1], last_column);
  var at_b2 = b_start + min(column[2], last_column);
  var at_b3 = b_start + min(column[3], last_column);
  var s00 = 0.0; var s01 = 0.0; var s02 = 0.0; var s03 = 0.0;
  var s10 = 0.0; var s11 = 0.0; var s12 = 0.0; var s13 = 0.0;
  var s20 = 0.0; var s21 = 0.0; var s22 = 0.0; var s23 = 0.0;
  var s30 = 0.0; var s31 = 0.0; var s32 = 0.0; var s33 = 0.0;
  var s40 = 0.0; var s41 = 0.0; var s42 = 0.0; var s43 = 0.0;
  var s50 = 0.0; var s51 = 0.0; var s52 = 0.0; var s53 = 0.0;
  var s60 = 0.0; var s61 = 0.0; var s62 = 0.0; var s63 = 0.0;
  var s70 = 0.0; var s71 = 0.0; var s72 = 0.0; var s73 = 0.0;
  for (var step = first_k; step < end_k; step++) {
    let b0 = f32(b[at_b0]);
    let b1 = f32(b[at_b1]);
    let b2 = f32(b[at_b2]);
    let b3 = f32(b[at_b3]);
    let a0 = f32(a[at_a0]);
    s00 = fma(a0, b0, s00); s01 = fma(a0, b1, s01); s02 = fma(a0, b2, s02); s03 = fma(a0, b3, s03);
    let a1 = f32(a[at_a1]);
    s10 = fma(a1, b0, s10); s11 = fma(a1, b1, s11); s12 = fma(a1, b2, s12); s13 = fma(a1, b3, s13);
    let a2 = f32(a[at_a2]);
    s20 = fma(a2, b0, s20); s21 = fma(a2, b1, s21); s22 = fma(a2, b2, s22); s23 = fma(a2, b3, s23);
    let a3 = f32(a[at_a3]);
    s30 = fma(a3, b0, s30); s31 = fma(a3, b1, s31); s32 = fma(a3, b2, s32); s33 = fma(a3, b3, s33);
    let a4 = f32(a[at_a4]);
    s40 = fma(a4, b0, s40); s41 = fma(a4, b1, s41); s42 = fma(a4, b2, s42); s43 = fma(a4, b3, s43);
    let a5 = f32(a[at_a5]);
    s50 = fma(a5, b0, s50); s51 = fma(a5, b1, s51); s52 = fma(a5, b2, s52); s53 = fma(a5, b3, s53);
    let a6 = f32(a[at_a6]);
    s60 = fma(a6, b0, s60); s61 = fma(a6, b1, s61); s62 = fma(a6, b2, s62); s63 = fma(a6, b3, s63);
    let a7 = f32(a[at_a7]);
    s70 = fma(a7, b0, s70); s71 = fma(a7, b1, s71); s72 = fma(a7, b2, s72); s73 = fma(a7, b3, s73);
    at_a0 += params.a_k;
    at_a1 += params.a_k;
    at_a2 += params.a_k;
    at_a3 += params.a_k;
    at_a4 += params.a_k;
    at_a5 += params.a_k;
    at_a6 += params.a_k;
    at_a7 += params.a_k;
    at_b0 += params.n;
    at_b1 += params.n;
    at_b2 += params.n;
    at_b3 += params.n;
  }
  let start = matrix * params.m * params.n;
  store_row(first_row + 0u, column, start, vec4f(s00, s01, s02, s03));
  store_row(first_row + 1u, column, start, vec4f(s10, s11, s12, s13));
  store_row(first_row + 2u, column, start, vec4f(s20, s21, s22, s23));
  store_row(first_row + 3u, column, start, vec4f(s30, s31, s32, s33));
  store_row(first_row + 4u, column, start, vec4f(s40, s41, s42, s43));
  store_row(first_row + 5u, column, start, vec4f(s50, s51, s52, s53));
  store_row(first_row + 6u, column, start, vec4f(s60, s61, s62, s63));
  store_row(first_row + 7u, column, start, vec4f(s70, s71, s72, s73));
}
