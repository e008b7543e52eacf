// layer-norm.backward-affine.wgsl with four columns a load, for columns that are a multiple of 4. Same formulas.
// x, dy: [rows, columns]. mean, rstd: [rows]. d_weight, d_bias: [chunks, columns], partial sums that the host adds up.
// One invocation four columns and a chunk.
override WORKGROUP_SIZE: u32 = 8;

struct Params { rows: u32, columns: u32, rows_per_chunk: u32, chunks: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<x_t>>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> rstd: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<vec4<dy_t>>;
@group(0) @binding(4) var<storage, read_write> d_weight: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> d_bias: array<vec4f>;
@group(0) @binding(6) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let vectors = params.columns / 4u;
  if (i >= vectors * params.chunks) {
    return;
  }
  let c = i % vectors;
  let first = (i / vectors) * params.rows_per_chunk;
  let last = min(first + params.rows_per_chunk, params.rows);
  var sum_weight = vec4f();
  var sum_bias = vec4f();
  for (var row = first; row < last; row++) {
    let g = vec4f(dy[row * vectors + c]);
    sum_weight += g * (vec4f(x[row * vectors + c]) - mean[row]) * rstd[row];
    sum_bias += g;
  }
  d_weight[i] = sum_weight;
  d_bias[i] = sum_bias;
}
