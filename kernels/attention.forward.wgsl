// Scaled dot-product attention in one pass over the keys (online softmax: Milakov & Gimelshein 2018; Dao et al. 2022, algorithm 1):
//   s_j = scale q·k_j + bias_j,  y = Σ_j exp(s_j - m) v_j / Σ_j exp(s_j - m),  m = max_j s_j.
// q, y: [pairs, queries, D]. k, v: [pairs, keys, D]. D = 4 params.vecs. bias: by params.bias_stride. causal: key ≤ query.
// stats: [pairs, queries], (m, 1 / Σ exp(s - m)), saved for backward: with a large m their log-sum-exp would lose the sum.
// One invocation a query row, with q and y in registers; four keys a step.
@group(0) @binding(0) var<storage, read> q: array<vec4<q_t>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<k_t>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<v_t>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<y_t>>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(6) var<uniform> params: Params;

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
  var visible_keys = params.keys;
  var end = params.keys; // the same for the whole workgroup, unlike visible_keys
  if (params.causal == 1u) {
    visible_keys = visible_keys_of(at.row);
    end = visible_keys_of(at.first + select(WORKGROUP_SIZE, 1u, PACKED == 1u) - 1u);
  }
  var query: array<vec4f, HEAD_VECS>;
  var sum_v: array<vec4f, HEAD_VECS>;
  for (var c = 0u; c < vecs; c++) {
    query[c] = vec4f(q[row_start + c]) * params.scale;
    sum_v[c] = vec4f();
  }
  var largest = LOWEST;
  var sum = 0.0;
  if (params.resume == 1u) {
    let before = stats[at.pair * params.queries + at.row];
    largest = before.x;
    sum = 1.0 / before.y;
    for (var c = 0u; c < vecs; c++) {
      sum_v[c] = vec4f(y[row_start + c]) * sum;
    }
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
    let visible = vec4u(first) + vec4u(0u, 1u, 2u, 3u) < vec4u(visible_keys);
    s = select(vec4f(LOWEST), max(s, vec4f(LOWEST)), visible);
    let next = max(max(largest, max(s.x, s.y)), max(s.z, s.w));
    let rescale = exp(largest - next);
    let p = select(vec4f(), exp(s - next), visible);
    largest = next;
    sum = sum * rescale + p.x + p.y + p.z + p.w;
    for (var c = 0u; c < vecs; c++) {
      sum_v[c] = fma(vec4f(p.w), vec4f(v[start.w + c]), fma(vec4f(p.z), vec4f(v[start.z + c]), fma(vec4f(p.y), vec4f(v[start.y + c]), fma(vec4f(p.x), vec4f(v[start.x + c]), sum_v[c] * rescale))));
    }
  }
  let rsum = 1.0 / sum;
  for (var c = 0u; c < vecs; c++) {
    y[row_start + c] = vec4<y_t>(sum_v[c] * rsum);
  }
  stats[at.pair * params.queries + at.row] = vec2f(largest, rsum);
}
