// Turns scores into softmax weights but for their sum, in place, for attention by matrix products:
//   s_j = scale · score_j + bias_j,  score_j ← exp(s_j - m),  m = max_j s_j.
// scores: [pairs, queries, keys]. bias: by params.bias_stride. causal: key ≤ query; the weights of keys beyond are 0.
// stats: [pairs, queries], (m, 1 / Σ exp(s - m)). An invocation a row, four neighbouring keys a step: CPU adapters gain by that.
override WORKGROUP_SIZE: u32 = 8;

#include "include/attention-scores.wgsl"

@group(0) @binding(0) var<storage, read> bias: array<f32>;
@group(0) @binding(1) var<storage, read_write> scores: array<f32>;
@group(0) @binding(2) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

fn score(at: u32, bias_at: u32) -> f32 {
  return max(scores[at] * params.scale + bias[bias_at * params.has_bias] * f32(params.has_bias), LOWEST);
}

fn scores4(at: u32, bias_at: u32) -> vec4f {
  let s = vec4f(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]) * params.scale;
  if (params.has_bias == 0u) {
    return max(s, vec4f(LOWEST));
  }
  let b = bias_at + vec4u(0u, 1u, 2u, 3u) * params.bias_stride.w;
  return max(s + vec4f(bias[b.x], bias[b.y], bias[b.z], bias[b.w]), vec4f(LOWEST));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.pairs * params.queries) {
    return;
  }
  let start = row * params.keys;
  let query = params.first_query + row % params.queries;
  let bias_row = bias_start(params.first_pair + row / params.queries) + query * params.bias_stride.z;
  let visible = select(params.keys, min(params.keys, query + 1u), params.causal == 1u);
  let whole = visible / 4u * 4u;
  var largest4 = vec4f(LOWEST);
  for (var j = 0u; j < whole; j += 4u) {
    largest4 = max(largest4, scores4(start + j, bias_row + j * params.bias_stride.w));
  }
  var largest = max(max(largest4.x, largest4.y), max(largest4.z, largest4.w));
  for (var j = whole; j < visible; j++) {
    largest = max(largest, score(start + j, bias_row + j * params.bias_stride.w));
  }
  var sum4 = vec4f();
  for (var j = 0u; j < whole; j += 4u) {
    let e = exp(scores4(start + j, bias_row + j * params.bias_stride.w) - largest);
    sum4 += e;
    scores[start + j] = e.x;
    scores[start + j + 1u] = e.y;
    scores[start + j + 2u] = e.z;
    scores[start + j + 3u] = e.w;
  }
  var sum = sum4.x + sum4.y + sum4.z + sum4.w;
  for (var j = whole; j < visible; j++) {
    let e = exp(score(start + j, bias_row + j * params.bias_stride.w) - largest);
    sum += e;
    scores[start + j] = e;
  }
  for (var j = visible; j < params.keys; j++) {
    scores[start + j] = 0.0;
  }
  stats[row] = vec2f(largest, 1.0 / sum);
}
