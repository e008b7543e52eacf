// Gradient of attention with respect to q (Dao et al. 2022, algorithm 4), with δ = dY·y and p_j = exp(s_j - m) / Σ exp(s - m):
//   ds_j = p_j (dY·v_j - δ),  dQ = scale Σ_j ds_j k_j.
// q, dy, dq: [pairs, queries, D]. k, v: [pairs, keys, D]. D = 4 params.vecs. row: [pairs, queries], (m, 1/Σ, δ, 0).
// One invocation a query row, with q, dY and dQ in registers; four keys a step.
@group(0) @binding(0) var<storage, read> q: array<vec4<q_t>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<k_t>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<v_t>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<dy_t>>;
@group(0) @binding(5) var<storage, read> row: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dq: array<vec4<dq_t>>;
@group(0) @binding(7) var<uniform> params: Params;

#include "include/attention.wgsl"
#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let vecs = select(params.vecs, HEAD_VECS, UNROLLED == 1u);
  let at = place(flat_workgroup(group, groups), lane, params.queries);
  if (at.pair >= params.pairs || at.row >= params.queries) {
    return;
  }
  let row_start = (at.pair * params.queries + at.row) * vecs;
  let key_start = at.pair * params.keys;
  let bias_row = bias_start(at.pair) + at.row * params.bias_stride.z;
  let own = row[at.pair * params.queries + at.row];
  var visible_keys = params.keys;
  var end = params.keys; // the same for the whole workgroup, unlike visible_keys
  if (params.causal == 1u) {
    visible_keys = visible_keys_of(at.row);
    end = visible_keys_of(at.first + select(WORKGROUP_SIZE, 1u, PACKED == 1u) - 1u);
  }
  var query: array<vec4f, HEAD_VECS>;
  var grad: array<vec4f, HEAD_VECS>;
  var sum: array<vec4f, HEAD_VECS>;
  for (var c = 0u; c < vecs; c++) {
    query[c] = vec4f(q[row_start + c]) * params.scale;
    grad[c] = vec4f(dy[row_start + c]);
    sum[c] = vec4f();
  }
  for (var first = 0u; first < end; first += 4u) {
    let j = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(params.keys - 1u));
    let start = (key_start + j) * vecs;
    var s0 = vec4f();
    var s1 = vec4f();
    var s2 = vec4f();
    var s3 = vec4f();
    for (var c = 0u; c < vecs; c++) {
      let x = query[c];
      s0 = fma(x, vec4f(k[start.x + c]), s0);
      s1 = fma(x, vec4f(k[start.y + c]), s1);
      s2 = fma(x, vec4f(k[start.z + c]), s2);
      s3 = fma(x, vec4f(k[start.w + c]), s3);
    }
    var s = totals(s0, s1, s2, s3);
    if (params.has_bias == 1u) {
      let b = bias_row + j * params.bias_stride.w;
      s += vec4f(bias[b.x], bias[b.y], bias[b.z], bias[b.w]);
    }
    var d0 = vec4f();
    var d1 = vec4f();
    var d2 = vec4f();
    var d3 = vec4f();
    for (var c = 0u; c < vecs; c++) {
      let x = grad[c];
      d0 = fma(x, vec4f(v[start.x + c]), d0);
      d1 = fma(x, vec4f(v[start.y + c]), d1);
      d2 = fma(x, vec4f(v[start.z + c]), d2);
      d3 = fma(x, vec4f(v[start.w + c]), d3);
    }
    let visible = vec4u(first) + vec4u(0u, 1u, 2u, 3u) < vec4u(visible_keys);
    let p = select(vec4f(), exp(max(s, vec4f(LOWEST)) - own.x) * own.y, visible);
    let ds = p * (totals(d0, d1, d2, d3) - own.z);
    for (var c = 0u; c < vecs; c++) {
      sum[c] = fma(vec4f(ds.w), vec4f(k[start.w + c]), fma(vec4f(ds.z), vec4f(k[start.z + c]), fma(vec4f(ds.y), vec4f(k[start.y + c]), fma(vec4f(ds.x), vec4f(k[start.x + c]), sum[c]))));
    }
  }
  for (var c = 0u; c < vecs; c++) {
    dq[row_start + c] = vec4<dq_t>(sum[c] * params.scale);
  }
}
