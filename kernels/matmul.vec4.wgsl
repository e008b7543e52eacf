// Matrix product y = a b, plan for CPU adapters that gain from vector loads (SwiftShader): no workgroup memory.
// a: [batch, m, k], b: [batch, k, n], both read as vec4 along their last axis, so k and n are multiples of 4;
// y: [splits, batch, m, n]; bias: [n], or anything where has_bias is 0. k_per_split is a multiple of 4.
// A workgroup makes 8 rows x 8 LANES columns of one matrix; an invocation owns the columns of vectors lane and lane + LANES.
// Sixteen vec4 sums in named registers. Each split sums its own stretch of k; matmul.sum-splits adds them up.
override LANES: u32 = 8;

struct Params { m: u32, n: u32, k: u32, batch: u32, splits: u32, k_per_split: u32, a_batch: u32, b_batch: u32, has_bias: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<a_t>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<b_t>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<y_t>>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"

fn bias_at(column: u32) -> vec4f {
  return select(vec4f(), bias[column * params.has_bias], params.has_bias == 1u);
}

fn store_row(row: u32, column: vec2u, start: u32, left: vec4f, right: vec4f) {
  if (row >= params.m) {
    return;
  }
  let vectors = params.n / 4u;
  if (column.x < vectors) {
    y[start + row * vectors + column.x] = vec4<y_t>(left + bias_at(column.x));
  }
  if (column.y < vectors) {
    y[start + row * vectors + column.y] = vec4<y_t>(right + bias_at(column.y));
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let vectors = params.n / 4u;
  let row_tiles = (params.m + 7u) / 8u;
  let column_tiles = (vectors + 2u * LANES - 1u) / (2u * LANES);
  let tile = flat_workgroup(group, groups);
  let column_tile = (tile / row_tiles) % column_tiles;
  let matrix = tile / (row_tiles * column_tiles); // split * batch + batch index
  if (matrix >= params.batch * params.splits) {
    return;
  }
  let first_row = (tile % row_tiles) * 8u;
  let column = vec2u(column_tile * 2u * LANES + lane) + vec2u(0u, LANES);
  // Past the edges the last row or column is computed again and not stored: no branches in the loop.
  let last_row = params.m - 1u;
  let split = matrix / params.batch;
  let first_k = split * params.k_per_split;
  let end_k = min(first_k + params.k_per_split, params.k);
  let a_start = ((matrix % params.batch) * params.a_batch + first_k) / 4u;
  let b_start = ((matrix % params.batch) * params.b_batch) / 4u + first_k * vectors;
  let a_row = params.k / 4u;
  var at_a0 = a_start + min(first_row + 0u, last_row) * a_row;
  var at_a1 = a_start + min(first_row + 1u, last_row) * a_row;
  var at_a2 = a_start + min(first_row + 2u, last_row) * a_row;
  var at_a3 = a_start + min(first_row + 3u, last_row) * a_row;
  var at_a4 = a_start + min(first_row + 4u, last_row) * a_row;
  var at_a5 = a_start + min(first_row + 5u, last_row) * a_row;
  var at_a6 = a_start + min(first_row + 6u, last_row) * a_row;
  var at_a7 = a_start + min(first_row + 7u, last_row) * a_row;
  var at_b0 = b_start + min(column[0], vectors - 1u);
  var at_b1 = b_start + min(column[1], vectors - 1u);
  var s00 = vec4f(); var s01 = vec4f();
  var s10 = vec4f(); var s11 = vec4f();
  var s20 = vec4f(); var s21 = vec4f();
  var s30 = vec4f(); var s31 = vec4f();
  var s40 = vec4f(); var s41 = vec4f();
  var s50 = vec4f(); var s51 = vec4f();
  var s60 = vec4f(); var s61 = vec4f();
  var s70 = vec4f(); var s71 = vec4f();
  for (var step = first_k; step < end_k; step += 4u) {
    let a0 = vec4f(a[at_a0]);
    let a1 = vec4f(a[at_a1]);
    let a2 = vec4f(a[at_a2]);
    let a3 = vec4f(a[at_a3]);
    let a4 = vec4f(a[at_a4]);
    let a5 = vec4f(a[at_a5]);
    let a6 = vec4f(a[at_a6]);
    let a7 = vec4f(a[at_a7]);
    var b0 = vec4f(b[at_b0]);
    var b1 = vec4f(b[at_b1]);
    s00 += a0.x * b0; s01 += a0.x * b1;
    s10 += a1.x * b0; s11 += a1.x * b1;
    s20 += a2.x * b0; s21 += a2.x * b1;
    s30 += a3.x * b0; s31 += a3.x * b1;
    s40 += a4.x * b0; s41 += a4.x * b1;
    s50 += a5.x * b0; s51 += a5.x * b1;
    s60 += a6.x * b0; s61 += a6.x * b1;
    s70 += a7.x * b0; s71 += a7.x * b1;
    b0 = vec4f(b[at_b0 + vectors]);
    b1 = vec4f(b[at_b1 + vectors]);
    s00 += a0.y * b0; s01 += a0.y * b1;
    s10 += a1.y * b0; s11 += a1.y * b1;
    s20 += a2.y * b0; s21 += a2.y * b1;
    s30 += a3.y * b0; s31 += a3.y * b1;
    s40 += a4.y * b0; s41 += a4.y * b1;
    s50 += a5.y * b0; s51 += a5.y * b1;
    s60 += a6.y * b0; s61 += a6.y * b1;
    s70 += a7.y * b0; s71 += a7.y * b1;
    b0 = vec4f(b[at_b0 + 2u * vectors]);
    b1 = vec4f(b[at_b1 + 2u * vectors]);
    s00 += a0.z * b0; s01 += a0.z * b1;
    s10 += a1.z * b0; s11 += a1.z * b1;
    s20 += a2.z * b0; s21 += a2.z * b1;
    s30 += a3.z * b0; s31 += a3.z * b1;
    s40 += a4.z * b0; s41 += a4.z * b1;
    s50 += a5.z * b0; s51 += a5.z * b1;
    s60 += a6.z * b0; s61 += a6.z * b1;
    s70 += a7.z * b0; s71 += a7.z * b1;
    b0 = vec4f(b[at_b0 + 3u * vectors]);
    b1 = vec4f(b[at_b1 + 3u * vectors]);
    s00 += a0.w * b0; s01 += a0.w * b1;
    s10 += a1.w * b0; s11 += a1.w * b1;
    s20 += a2.w * b0; s21 += a2.w * b1;
    s30 += a3.w * b0; s31 += a3.w * b1;
    s40 += a4.w * b0; s41 += a4.w * b1;
    s50 += a5.w * b0; s51 += a5.w * b1;
    s60 += a6.w * b0; s61 += a6.w * b1;
    s70 += a7.w * b0; s71 += a7.w * b1;
    at_a0++;
    at_a1++;
    at_a2++;
    at_a3++;
    at_a4++;
    at_a5++;
    at_a6++;
    at_a7++;
    at_b0 += 4u * vectors;
    at_b1 += 4u * vectors;
  }
  let start = matrix * params.m * vectors;
  store_row(first_row + 0u, column, start, s00, s01);
  store_row(first_row + 1u, column, start, s10, s11);
  store_row(first_row + 2u, column, start, s20, s21);
  store_row(first_row + 3u, column, start, s30, s31);
  store_row(first_row + 4u, column, start, s40, s41);
  store_row(first_row + 5u, column, start, s50, s51);
  store_row(first_row + 6u, column, start, s60, s61);
  store_row(first_row + 7u, column, start, s70, s71);
}
