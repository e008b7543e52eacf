// Between the matrix products of attention's backward pass, with the scores of key j against query i, δ_i = dY_i·y_i:
//   p_ij = exp(scale · q_i·k_j + bias_ij - m_i) / Σ_i,  ds_ij = scale · p_ij (dY_i·v_j - δ_i).
// weights: [pairs, keys, queries], in: k_j·q_i, out: p. gradients: [pairs, keys, queries], in: v_j·dY_i, out: ds. turned:
// [pairs, queries, keys], out: ds. row: [pairs, queries], (m, 1/Σ, δ, 0). bias: by params.bias_stride. causal: key ≤ query.
// An invocation a key, four neighbouring queries a step: CPU adapters gain by that. The products then need no transposition.
override WORKGROUP_SIZE: u32 = 8;

#include "include/attention-scores.wgsl"

@group(0) @binding(0) var<storage, read> bias: array<f32>;
@group(0) @binding(1) var<storage, read> row: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(4) var<storage, read_write> turned: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (index >= params.pairs * params.keys) {
    return;
  }
  let pair = index / params.keys;
  let key = index % params.keys;
  let start = index * params.queries;
  let first_row = pair * params.queries;
  let turned_start = first_row * params.keys + key;
  let bias_column = bias_start(params.first_pair + pair) + key * params.bias_stride.w;
  let first_visible = select(0u, key - min(key, params.first_query), params.causal == 1u);
  for (var first = 0u; first < params.queries; first += 4u) {
    let i = vec4u(first) + vec4u(0u, 1u, 2u, 3u);
    // Past the end the last query is computed again and not stored.
    let at = min(i, vec4u(params.queries - 1u));
    let r0 = row[first_row + at.x];
    let r1 = row[first_row + at.y];
    let r2 = row[first_row + at.z];
    let r3 = row[first_row + at.w];
    var s = vec4f(weights[start + at.x], weights[start + at.y], weights[start + at.z], weights[start + at.w]) * params.scale;
    if (params.has_bias == 1u) {
      let b = bias_column + (params.first_query + at) * params.bias_stride.z;
      s += vec4f(bias[b.x], bias[b.y], bias[b.z], bias[b.w]);
    }
    let d = vec4f(gradients[start + at.x], gradients[start + at.y], gradients[start + at.z], gradients[start + at.w]);
    let e = exp(max(s, vec4f(LOWEST)) - vec4f(r0.x, r1.x, r2.x, r3.x));
    let p = select(vec4f(), e * vec4f(r0.y, r1.y, r2.y, r3.y), i >= vec4u(first_visible));
    let ds = params.scale * p * (d - vec4f(r0.z, r1.z, r2.z, r3.z));
    for (var lane4 = 0u; lane4 < 4u; lane4++) {
      if (i[lane4] < params.queries) {
        weights[start + i[lane4]] = p[lane4];
        gradients[start + i[lane4]] = ds[lane4];
        turned[turned_start + i[lane4] * params.keys] = ds[lane4];
      }
    }
  }
}
