// Matrix product y = a b, plan for CPU adapters with subgroups of 8 or more (lavapipe): no workgroup memory.
// a: [batch, m, k] read as vec4 along k, a multiple of 4; b: [batch, k, n]; y: [splits, batch, m, n]; bias: [n], or anything
// where has_bias is 0. k_per_split is a multiple of 4.
// Such an adapter loads lane by lane even where all lanes read one address, so a load costs more than 8 multiply-adds. Hence
// lane l of a subgroup loads rows l and l + 8 of a tile once, and each value goes to all lanes by a broadcast in registers.
// A workgroup makes 16 rows x 4 LANES columns of one matrix; an invocation owns the columns lane + LANES j.
// Each split sums its own stretch of k; matmul.sum-splits adds them up.
enable subgroups;

override LANES: u32 = 8;

struct Params { m: u32, n: u32, k: u32, batch: u32, splits: u32, k_per_split: u32, a_batch: u32, b_batch: u32, has_bias: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<a_t>>;
@group(0) @binding(1) var<storage, read> b: array<b_t>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<y_t>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/matmul-bias.wgsl"
#include "include/matmul-store-row.wgsl"

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let row_tiles = (params.m + 15u) / 16u;
  let column_tiles = (params.n + 4u * LANES - 1u) / (4u * LANES);
  let tile = flat_workgroup(group, groups);
  let column_tile = (tile / row_tiles) % column_tiles;
  let matrix = tile / (row_tiles * column_tiles); // split * batch + batch index
  if (matrix >= params.batch * params.splits) {
    return;
  }
  let first_row = (tile % row_tiles) * 16u;
  let column = vec4u(column_tile * 4u * LANES + lane) + vec4u(0u, 1u, 2u, 3u) * LANES;
  // Past the edges the last row or column is computed again and not stored: no branches in the loop.
  let last_row = params.m - 1u;
  let last_column = params.n - 1u;
  let split = matrix / params.batch;
  let first_k = split * params.k_per_split;
  let end_k = min(first_k + params.k_per_split, params.k);
  let a_start = (matrix % params.batch) * params.a_batch + first_k;
  let b_start = (matrix % params.batch) * params.b_batch + first_k * params.n;
  let upper_row = min(first_row + subgroup_lane % 8u, last_row);
  let lower_row = min(first_row + 8u + subgroup_lane % 8u, last_row);
  var at_upper = (a_start + upper_row * params.k) / 4u;
  var at_lower = (a_start + lower_row * params.k) / 4u;
  var at_b0 = b_start + min(column[0], last_column);
  var at_b1 = b_start + min(column[1], last_column);
  var at_b2 = b_start + min(column[2], last_column);
  var at_b3 = b_start + min(column[3], last_column);
  var s0_0 = 0.0; var s0_1 = 0.0; var s0_2 = 0.0; var s0_3 = 0.0;
  var s1_0 = 0.0; var s1_1 = 0.0; var s1_2 = 0.0; var s1_3 = 0.0;
  var s2_0 = 0.0; var s2_1 = 0.0; var s2_2 = 0.0; var s2_3 = 0.0;
  var s3_0 = 0.0; var s3_1 = 0.0; var s3_2 = 0.0; var s3_3 = 0.0;
  var s4_0 = 0.0; var s4_1 = 0.0; var s4_2 = 0.0; var s4_3 = 0.0;
  var s5_0 = 0.0; var s5_1 = 0.0; var s5_2 = 0.0; var s5_3 = 0.0;
  var s6_0 = 0.0; var s6_1 = 0.0; var s6_2 = 0.0; var s6_3 = 0.0;
  var s7_0 = 0.0; var s7_1 = 0.0; var s7_2 = 0.0; var s7_3 = 0.0;
  var s8_0 = 0.0; var s8_1 = 0.0; var s8_2 = 0.0; var s8_3 = 0.0;
  var s9_0 = 0.0; var s9_1 = 0.0; var s9_2 = 0.0; var s9_3 = 0.0;
  var s10_0 = 0.0; var s10_1 = 0.0; var s10_2 = 0.0; var s10_3 = 0.0;
  var s11_0 = 0.0; var s11_1 = 0.0; var s11_2 = 0.0; var s11_3 = 0.0;
  var s12_0 = 0.0; var s12_1 = 0.0; var s12_2 = 0.0; var s12_3 = 0.0;
  var s13_0 = 0.0; var s13_1 = 0.0; var s13_2 = 0.0; var s13_3 = 0.0;
  var s14_0 = 0.0; var s14_1 = 0.0; var s14_2 = 0.0; var s14_3 = 0.0;
  var s15_0 = 0.0; var s15_1 = 0.0; var s15_2 = 0.0; var s15_3 = 0.0;
  for (var step = first_k; step < end_k; step += 4u) {
    let upper = vec4f(a[at_upper]);
    let lower = vec4f(a[at_lower]);
    at_upper++;
    at_lower++;
    {
      let b0 = f32(b[at_b0]);
      let b1 = f32(b[at_b1]);
      let b2 = f32(b[at_b2]);
      let b3 = f32(b[at_b3]);
      at_b0 += params.n;
      at_b1 += params.n;
      at_b2 += params.n;
      at_b3 += params.n;
      let a0 = subgroupBroadcast(upper.x, 0u);
      s0_0 += a0 * b0; s0_1 += a0 * b1; s0_2 += a0 * b2; s0_3 += a0 * b3;
      let a1 = subgroupBroadcast(upper.x, 1u);
      s1_0 += a1 * b0; s1_1 += a1 * b1; s1_2 += a1 * b2; s1_3 += a1 * b3;
      let a2 = subgroupBroadcast(upper.x, 2u);
      s2_0 += a2 * b0; s2_1 += a2 * b1; s2_2 += a2 * b2; s2_3 += a2 * b3;
      let a3 = subgroupBroadcast(upper.x, 3u);
      s3_0 += a3 * b0; s3_1 += a3 * b1; s3_2 += a3 * b2; s3_3 += a3 * b3;
      let a4 = subgroupBroadcast(upper.x, 4u);
      s4_0 += a4 * b0; s4_1 += a4 * b1; s4_2 += a4 * b2; s4_3 += a4 * b3;
      let a5 = subgroupBroadcast(upper.x, 5u);
      s5_0 += a5 * b0; s5_1 += a5 * b1; s5_2 += a5 * b2; s5_3 += a5 * b3;
      let a6 = subgroupBroadcast(upper.x, 6u);
      s6_0 += a6 * b0; s6_1 += a6 * b1; s6_2 += a6 * b2; s6_3 += a6 * b3;
      let a7 = subgroupBroadcast(upper.x, 7u);
      s7_0 += a7 * b0; s7_1 += a7 * b1; s7_2 += a7 * b2; s7_3 += a7 * b3;
      let a8 = subgroupBroadcast(lower.x, 0u);
      s8_0 += a8 * b0; s8_1 += a8 * b1; s8_2 += a8 * b2; s8_3 += a8 * b3;
      let a9 = subgroupBroadcast(lower.x, 1u);
      s9_0 += a9 * b0; s9_1 += a9 * b1; s9_2 += a9 * b2; s9_3 += a9 * b3;
      let a10 = subgroupBroadcast(lower.x, 2u);
      s10_0 += a10 * b0; s10_1 += a10 * b1; s10_2 += a10 * b2; s10_3 += a10 * b3;
      let a11 = subgroupBroadcast(lower.x, 3u);
      s11_0 += a11 * b0; s11_1 += a11 * b1; s11_2 += a11 * b2; s11_3 += a11 * b3;
      let a12 = subgroupBroadcast(lower.x, 4u);
      s12_0 += a12 * b0; s12_1 += a12 * b1; s12_2 += a12 * b2; s12_3 += a12 * b3;
      let a13 = subgroupBroadcast(lower.x, 5u);
      s13_0 += a13 * b0; s13_1 += a13 * b1; s13_2 += a13 * b2; s13_3 += a13 * b3;
      let a14 = subgroupBroadcast(lower.x, 6u);
      s14_0 += a14 * b0; s14_1 += a14 * b1; s14_2 += a14 * b2; s14_3 += a14 * b3;
      let a15 = subgroupBroadcast(lower.x, 7u);
      s15_0 += a15 * b0; s15_1 += a15 * b1; s15_2 += a15 * b2; s15_3 += a15 * b3;
    }
    {
      let b0 = f32(b[at_b0]);
      let b1 = f32(b[at_b1]);
      let b2 = f32(b[at_b2]);
      let b3 = f32(b[at_b3]);
      at_b0 += params.n;
      at_b1 += params.n;
      at_b2 += params.n;
      at_b3 += params.n;
      let a0 = subgroupBroadcast(upper.y, 0u);
      s0_0 += a0 * b0; s0_1 += a0 * b1; s0_2 += a0 * b2; s0_3 += a0 * b3;
      let a1 = subgroupBroadcast(upper.y, 1u);
      s1_0 += a1 * b0; s1_1 += a1 * b1; s1_2 += a1 * b2; s1_3 += a1 * b3;
      let a2 = subgroupBroadcast(upper.y, 2u);
      s2_0 += a2 * b0; s2_1 += a2 * b1; s2_2 += a2 * b2; s2_3 += a2 * b3;
      let a3 = subgroupBroadcast(upper.y, 3u);
      s3_0 += a3 * b0; s3_1 += a3 * b1; s3_2 += a3 * b2; s3_3 += a3 * b3;
      let a4 = subgroupBroadcast(upper.y, 4u);
      s4_0 += a4 * b0; s4_1 += a4 * b1; s4_2 += a4 * b2; s4_3 += a4 * b3;
      let a5 = subgroupBroadcast(upper.y, 5u);
      s5_0 += a5 * b0; s5_1 += a5 * b1; s5_2 += a5 * b2; s5_3 += a5 * b3;
      let a6 = subgroupBroadcast(upper.y, 6u);
      s6_0 += a6 * b0; s6_1 += a6 * b1; s6_2 += a6 * b2; s6_3 += a6 * b3;
      let a7 = subgroupBroadcast(upper.y, 7u);
      s7_0 += a7 * b0; s7_1 += a7 * b1; s7_2 += a7 * b2; s7_3 += a7 * b3;
      let a8 = subgroupBroadcast(lower.y, 0u);
      s8_0 += a8 * b0; s8_1 += a8 * b1; s8_2 += a8 * b2; s8_3 += a8 * b3;
      let a9 = subgroupBroadcast(lower.y, 1u);
      s9_0 += a9 * b0; s9_1 += a9 * b1; s9_2 += a9 * b2; s9_3 += a9 * b3;
      let a10 = subgroupBroadcast(lower.y, 2u);
      s10_0 += a10 * b0; s10_1 += a10 * b1; s10_2 += a10 * b2; s10_3 += a10 * b3;
      let a11 = subgroupBroadcast(lower.y, 3u);
      s11_0 += a11 * b0; s11_1 += a11 * b1; s11_2 += a11 * b2; s11_3 += a11 * b3;
      let a12 = subgroupBroadcast(lower.y, 4u);
      s12_0 += a12 * b0; s12_1 += a12 * b1; s12_2 += a12 * b2; s12_3 += a12 * b3;
      let a13 = subgroupBroadcast(lower.y, 5u);
      s13_0 += a13 * b0; s13_1 += a13 * b1; s13_2 += a13 * b2; s13_3 += a13 * b3;
      let a14 = subgroupBroadcast(lower.y, 6u);
      s14_0 += a14 * b0; s14_1 += a14 * b1; s14_2 += a14 * b2; s14_3 += a14 * b3;
      let a15 = subgroupBroadcast(lower.y, 7u);
      s15_0 += a15 * b0; s15_1 += a15 * b1; s15_2 += a15 * b2; s15_3 += a15 * b3;
    }
    {
      let b0 = f32(b[at_b0]);
      let b1 = f32(b[at_b1]);
      let b2 = f32(b[at_b2]);
      let b3 = f32(b[at_b3]);
      at_b0 += params.n;
      at_b1 += params.n;
      at_b2 += params.n;
      at_b3 += params.n;
      let a0 = subgroupBroadcast(upper.z, 0u);
      s0_0 += a0 * b0; s0_1 += a0 * b1; s0_2 += a0 * b2; s0_3 += a0 * b3;
      let a1 = subgroupBroadcast(upper.z, 1u);
      s1_0 += a1 * b0; s1_1 += a1 * b1; s1_2 += a1 * b2; s1_3 += a1 * b3;
      let a2 = subgroupBroadcast(upper.z, 2u);
      s2_0 += a2 * b0; s2_1 += a2 * b1; s2_2 += a2 * b2; s2_3 += a2 * b3;
      let a3 = subgroupBroadcast(upper.z, 3u);
      s3_0 += a3 * b0; s3_1 += a3 * b1; s3_2 += a3 * b2; s3_3 += a3 * b3;
      let a4 = subgroupBroadcast(upper.z, 4u);
      s4_0 += a4 * b0; s4_1 += a4 * b1; s4_2 += a4 * b2; s4_3 += a4 * b3;
      let a5 = subgroupBroadcast(upper.z, 5u);
      s5_0 += a5 * b0; s5_1 += a5 * b1; s5_2 += a5 * b2; s5_3 += a5 * b3;
      let a6 = subgroupBroadcast(upper.z, 6u);
      s6_0 += a6 * b0; s6_1 += a6 * b1; s6_2 += a6 * b2; s6_3 += a6 * b3;
      let a7 = subgroupBroadcast(upper.z, 7u);
      s7_0 += a7 * b0; s7_1 += a7 * b1; s7_2 += a7 * b2; s7_3 += a7 * b3;
      let a8 = subgroupBroadcast(lower.z, 0u);
      s8_0 += a8 * b0; s8_1 += a8 * b1; s8_2 += a8 * b2; s8_3 += a8 * b3;
      let a9 = subgroupBroadcast(lower.z, 1u);
      s9_0 += a9 * b0; s9_1 += a9 * b1; s9_2 += a9 * b2; s9_3 += a9 * b3;
      let a10 = subgroupBroadcast(lower.z, 2u);
      s10_0 += a10 * b0; s10_1 += a10 * b1; s10_2 += a10 * b2; s10_3 += a10 * b3;
      let a11 = subgroupBroadcast(lower.z, 3u);
      s11_0 += a11 * b0; s11_1 += a11 * b1; s11_2 += a11 * b2; s11_3 += a11 * b3;
      let a12 = subgroupBroadcast(lower.z, 4u);
      s12_0 += a12 * b0; s12_1 += a12 * b1; s12_2 += a12 * b2; s12_3 += a12 * b3;
      let a13 = subgroupBroadcast(lower.z, 5u);
      s13_0 += a13 * b0; s13_1 += a13 * b1; s13_2 += a13 * b2; s13_3 += a13 * b3;
      let a14 = subgroupBroadcast(lower.z, 6u);
      s14_0 += a14 * b0; s14_1 += a14 * b1; s14_2 += a14 * b2; s14_3 += a14 * b3;
      let a15 = subgroupBroadcast(lower.z, 7u);
      s15_0 += a15 * b0; s15_1 += a15 * b1; s15_2 += a15 * b2; s15_3 += a15 * b3;
    }
    {
      let b0 = f32(b[at_b0]);
      let b1 = f32(b[at_b1]);
      let b2 = f32(b[at_b2]);
      let b3 = f32(b[at_b3]);
      at_b0 += params.n;
      at_b1 += params.n;
      at_b2 += params.n;
      at_b3 += params.n;
      let a0 = subgroupBroadcast(upper.w, 0u);
      s0_0 += a0 * b0; s0_1 += a0 * b1; s0_2 += a0 * b2; s0_3 += a0 * b3;
      let a1 = subgroupBroadcast(upper.w, 1u);
      s1_0 += a1 * b0; s1_1 += a1 * b1; s1_2 += a1 * b2; s1_3 += a1 * b3;
      let a2 = subgroupBroadcast(upper.w, 2u);
      s2_0 += a2 * b0; s2_1 += a2 * b1; s2_2 += a2 * b2; s2_3 += a2 * b3;
      let a3 = subgroupBroadcast(upper.w, 3u);
      s3_0 += a3 * b0; s3_1 += a3 * b1; s3_2 += a3 * b2; s3_3 += a3 * b3;
      let a4 = subgroupBroadcast(upper.w, 4u);
      s4_0 += a4 * b0; s4_1 += a4 * b1; s4_2 += a4 * b2; s4_3 += a4 * b3;
      let a5 = subgroupBroadcast(upper.w, 5u);
      s5_0 += a5 * b0; s5_1 += a5 * b1; s5_2 += a5 * b2; s5_3 += a5 * b3;
      let a6 = subgroupBroadcast(upper.w, 6u);
      s6_0 += a6 * b0; s6_1 += a6 * b1; s6_2 += a6 * b2; s6_3 += a6 * b3;
      let a7 = subgroupBroadcast(upper.w, 7u);
      s7_0 += a7 * b0; s7_1 += a7 * b1; s7_2 += a7 * b2; s7_3 += a7 * b3;
      let a8 = subgroupBroadcast(lower.w, 0u);
      s8_0 += a8 * b0; s8_1 += a8 * b1; s8_2 += a8 * b2; s8_3 += a8 * b3;
      let a9 = subgroupBroadcast(lower.w, 1u);
      s9_0 += a9 * b0; s9_1 += a9 * b1; s9_2 += a9 * b2; s9_3 += a9 * b3;
      let a10 = subgroupBroadcast(lower.w, 2u);
      s10_0 += a10 * b0; s10_1 += a10 * b1; s10_2 += a10 * b2; s10_3 += a10 * b3;
      let a11 = subgroupBroadcast(lower.w, 3u);
      s11_0 += a11 * b0; s11_1 += a11 * b1; s11_2 += a11 * b2; s11_3 += a11 * b3;
      let a12 = subgroupBroadcast(lower.w, 4u);
      s12_0 += a12 * b0; s12_1 += a12 * b1; s12_2 += a12 * b2; s12_3 += a12 * b3;
      let a13 = subgroupBroadcast(lower.w, 5u);
      s13_0 += a13 * b0; s13_1 += a13 * b1; s13_2 += a13 * b2; s13_3 += a13 * b3;
      let a14 = subgroupBroadcast(lower.w, 6u);
      s14_0 += a14 * b0; s14_1 += a14 * b1; s14_2 += a14 * b2; s14_3 += a14 * b3;
      let a15 = subgroupBroadcast(lower.w, 7u);
      s15_0 += a15 * b0; s15_1 += a15 * b1; s15_2 += a15 * b2; s15_3 += a15 * b3;
    }
  }
  let start = matrix * params.m * params.n;
  store_row(first_row + 0u, column, start, vec4f(s0_0, s0_1, s0_2, s0_3));
  store_row(first_row + 1u, column, start, vec4f(s1_0, s1_1, s1_2, s1_3));
  store_row(first_row + 2u, column, start, vec4f(s2_0, s2_1, s2_2, s2_3));
  store_row(first_row + 3u, column, start, vec4f(s3_0, s3_1, s3_2, s3_3));
  store_row(first_row + 4u, column, start, vec4f(s4_0, s4_1, s4_2, s4_3));
  store_row(first_row + 5u, column, start, vec4f(s5_0, s5_1, s5_2, s5_3));
  store_row(first_row + 6u, column, start, vec4f(s6_0, s6_1, s6_2, s6_3));
  store_row(first_row + 7u, column, start, vec4f(s7_0, s7_1, s7_2, s7_3));
  store_row(first_row + 8u, column, start, vec4f(s8_0, s8_1, s8_2, s8_3));
  store_row(first_row + 9u, column, start, vec4f(s9_0, s9_1, s9_2, s9_3));
  store_row(first_row + 10u, column, start, vec4f(s10_0, s10_1, s10_2, s10_3));
  store_row(first_row + 11u, column, start, vec4f(s11_0, s11_1, s11_2, s11_3));
  store_row(first_row + 12u, column, start, vec4f(s12_0, s12_1, s12_2, s12_3));
  store_row(first_row + 13u, column, start, vec4f(s13_0, s13_1, s13_2, s13_3));
  store_row(first_row + 14u, column, start, vec4f(s14_0, s14_1, s14_2, s14_3));
  store_row(first_row + 15u, column, start, vec4f(s15_0, s15_1, s15_2, s15_3));
}
