// Gradients of layer normalisation with respect to weight and bias, for one chunk of rows a workgroup row:
//   dWeight_c = Σ_rows dY x̂,  dBias_c = Σ_rows dY.
// x, dy: [rows, columns]. mean, rstd: [rows]. d_weight, d_bias: [chunks, columns], partial sums that the host adds up.
// One invocation a column and chunk; neighbouring invocations read neighbouring columns.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, rows_per_chunk: u32, chunks: u32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> rstd: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<dy_t>;
@group(0) @binding(4) var<storage, read_write> d_weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_bias: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.columns * params.chunks) {
    return;
  }
  let c = i % params.columns;
  let first = (i / params.columns) * params.rows_per_chunk;
  let last = min(first + params.rows_per_chunk, params.rows);
  var sum_weight = 0.0;
  var sum_bias = 0.0;
  for (var row = first; row < last; row++) {
    let g = f32(dy[row * params.columns + c]);
    sum_weight += g * (f32(x[row * params.columns + c]) - mean[row]) * rstd[row];
    sum_bias += g;
  }
  d_weight[i] = sum_weight;
  d_bias[i] = sum_bias;
}
