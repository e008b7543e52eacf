// Gradient of attention with respect to its additive bias: dBias = Σ p (dY·v - δ) over the axes along which the bias is broadcast.
// q, dy: [pairs, queries, D]. k, v: [pairs, keys, D]. D = 4 vecs. row: [pairs, queries], (m, 1/Σ, δ, 0).
// bias, d_bias: params.bias_shape, each extent that of [batches, heads, queries, keys] or 1.
// One invocation an element of the bias, which recomputes its scores: nothing of queries × keys is stored, the order is fixed.
override WORKGROUP_SIZE: u32 = 64;

struct Params {
  bias_shape: vec4u,
  batches: u32,
  heads: u32,
  queries: u32,
  keys: u32,
  vecs: u32,
  causal: u32,
  diagonal: i32, // as in include/attention.wgsl
  scale: f32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<q_t>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<k_t>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<v_t>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<dy_t>>;
@group(0) @binding(5) var<storage, read> row: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> d_bias: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

#include "include/flat-index.wgsl"

const LOWEST = -3.0e38; // stands for -inf, as in the forward pass

fn score_gradient(pair: u32, i: u32, j: u32, own_bias: f32) -> f32 {
  let row_index = pair * params.queries + i;
  let query = row_index * params.vecs;
  let key = (pair * params.keys + j) * params.vecs;
  var s = vec4f();
  var d = vec4f();
  for (var c = 0u; c < params.vecs; c++) {
    s = fma(vec4f(q[query + c]), vec4f(k[key + c]), s);
    d = fma(vec4f(dy[query + c]), vec4f(v[key + c]), d);
  }
  let own = row[row_index];
  let score = max((s.x + s.y + s.z + s.w) * params.scale + own_bias, LOWEST);
  return exp(score - own.x) * own.y * (d.x + d.y + d.z + d.w - own.z);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let shape = params.bias_shape;
  let index = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (index >= shape.x * shape.y * shape.z * shape.w) {
    return;
  }
  let full = vec4u(params.batches, params.heads, params.queries, params.keys);
  let at = vec4u(index / (shape.w * shape.z * shape.y), index / (shape.w * shape.z) % shape.y, index / shape.w % shape.z, index % shape.w);
  let first = select(at, vec4u(0u), shape == vec4u(1u));
  let last = select(at + 1u, full, shape == vec4u(1u));
  let own_bias = bias[index];
  var sum = 0.0;
  for (var b = first.x; b < last.x; b++) {
    for (var h = first.y; h < last.y; h++) {
      for (var i = first.z; i < last.z; i++) {
        let end = select(last.w, u32(clamp(i32(i) + 1 + params.diagonal, 0, i32(last.w))), params.causal == 1u);
        for (var j = first.w; j < end; j++) {
          sum += score_gradient(b * params.heads + h, i, j, own_bias);
        }
      }
    }
  }
  d_bias[index] = sum;
}
