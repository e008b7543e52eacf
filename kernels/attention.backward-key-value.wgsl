// Gradients of attention with respect to k and v (Dao et al. 2022, algorithm 4), with p_i = exp(s_i - m_i) / Σ exp(s - m_i):
//   ds_i = p_i (dY_i·v - δ_i),  dK = scale Σ_i ds_i q_i,  dV = Σ_i p_i dY_i.
// q, dy: [pairs, queries, D]. k, v, dk, dv: [pairs, keys, D]. D = 4 params.vecs. row: [pairs, queries], (m, 1/Σ, δ, 0).
// One invocation a key row, with k, v, dK and dV in registers; four queries a step.
@group(0) @binding(0) var<storage, read> q: array<vec4<q_t>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<k_t>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<v_t>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<dy_t>>;
@group(0) @binding(5) var<storage, read> row: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dk: array<vec4<dk_t>>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4<dv_t>>;
@group(0) @binding(8) var<uniform> params: Params;

#include "include/attention.wgsl"
#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let vecs = select(params.vecs, HEAD_VECS, UNROLLED == 1u);
  let at = place(flat_workgroup(group, groups), lane, params.keys);
  if (at.pair >= params.pairs || at.row >= params.keys) {
    return;
  }
  let row_start = (at.pair * params.keys + at.row) * vecs;
  let query_start = at.pair * params.queries;
  let bias_column = bias_start(at.pair) + at.row * params.bias_stride.w;
  var key: array<vec4f, HEAD_VECS>;
  var value: array<vec4f, HEAD_VECS>;
  var sum_k: array<vec4f, HEAD_VECS>;
  var sum_v: array<vec4f, HEAD_VECS>;
  for (var c = 0u; c < vecs; c++) {
    key[c] = vec4f(k[row_start + c]) * params.scale;
    value[c] = vec4f(v[row_start + c]);
    sum_k[c] = vec4f();
    sum_v[c] = vec4f();
  }
  let first_visible = select(0u, first_query_of(at.row), params.causal == 1u);
  for (var first = select(0u, first_query_of(at.first), params.causal == 1u); first < params.queries; first += 4u) {
    let steps = vec4u(first) + vec4u(0u, 1u, 2u, 3u);
    let i = query_start + min(steps, vec4u(params.queries - 1u));
    let start = i * vecs;
    var s0 = vec4f();
    var s1 = vec4f();
    var s2 = vec4f();
    var s3 = vec4f();
    for (var c = 0u; c < vecs; c++) {
      let x = key[c];
      s0 = fma(x, vec4f(q[start.x + c]), s0);
      s1 = fma(x, vec4f(q[start.y + c]), s1);
      s2 = fma(x, vec4f(q[start.z + c]), s2);
      s3 = fma(x, vec4f(q[start.w + c]), s3);
    }
    var s = totals(s0, s1, s2, s3);
    if (params.has_bias == 1u) {
      let b = bias_column + (i - query_start) * params.bias_stride.z;
      s += vec4f(bias[b.x], bias[b.y], bias[b.z], bias[b.w]);
    }
    var d0 = vec4f();
    var d1 = vec4f();
    var d2 = vec4f();
    var d3 = vec4f();
    for (var c = 0u; c < vecs; c++) {
      let x = value[c];
      d0 = fma(x, vec4f(dy[start.x + c]), d0);
      d1 = fma(x, vec4f(dy[start.y + c]), d1);
      d2 = fma(x, vec4f(dy[start.z + c]), d2);
      d3 = fma(x, vec4f(dy[start.w + c]), d3);
    }
    let r0 = row[i.x];
    let r1 = row[i.y];
    let r2 = row[i.z];
    let r3 = row[i.w];
    let visible = (steps >= vec4u(first_visible)) & (steps < vec4u(params.queries));
    let e = exp(max(s, vec4f(LOWEST)) - vec4f(r0.x, r1.x, r2.x, r3.x));
    let p = select(vec4f(), e * vec4f(r0.y, r1.y, r2.y, r3.y), visible);
    let ds = p * (totals(d0, d1, d2, d3) - vec4f(r0.z, r1.z, r2.z, r3.z));
    for (var c = 0u; c < vecs; c++) {
      sum_k[c] = fma(vec4f(ds.w), vec4f(q[start.w + c]), fma(vec4f(ds.z), vec4f(q[start.z + c]), fma(vec4f(ds.y), vec4f(q[start.y + c]), fma(vec4f(ds.x), vec4f(q[start.x + c]), sum_k[c]))));
      sum_v[c] = fma(vec4f(p.w), vec4f(dy[start.w + c]), fma(vec4f(p.z), vec4f(dy[start.z + c]), fma(vec4f(p.y), vec4f(dy[start.y + c]), fma(vec4f(p.x), vec4f(dy[start.x + c]), sum_v[c]))));
    }
  }
  for (var c = 0u; c < vecs; c++) {
    dk[row_start + c] = vec4<dk_t>(sum_k[c] * params.scale);
    dv[row_start + c] = vec4<dv_t>(sum_v[c]);
  }
}
