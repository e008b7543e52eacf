// attention.forward.wgsl for CPU adapters without broadcasts in registers (SwiftShader) and head dimensions up to 32: 4 queries an invocation,
// two keys a step, so that a key and its value are loaded once for 4 queries. Same formula, bindings and params. What is held is in variables
// of their own: SwiftShader keeps those in registers and an array in memory.

override LANES: u32 = 8;

@group(0) @binding(0) var<storage, read> q: array<q_t>;
@group(0) @binding(1) var<storage, read> k: array<vec4<k_t>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<v_t>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<y_t>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(6) var<uniform> params: Params;

#include "include/attention-tile.wgsl"
#include "include/flat-index.wgsl"

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  if (workgroup >= params.pairs * tiles_of(params.queries)) {
    return;
  }
  let tile = tile_of(workgroup, lane, params.queries);
  let columns = 4u * params.vecs;
  let rows = tile.pair * params.queries + tile.row;
  let end = end_of(workgroup);
  let visible = select(vec4u(params.keys), visible_keys(tile.row), params.causal == 1u);
  let bias_row = bias_start(tile.pair) + tile.row * params.bias_stride.z;
  var loaded_q: array<vec4f, 32>;
  for (var d = 0u; d < columns; d++) {
    let at = rows * columns + d;
    loaded_q[d] = vec4f(f32(q[at.x]), f32(q[at.y]), f32(q[at.z]), f32(q[at.w])) * params.scale;
  }
  var before: array<vec4f, 32>;
  var largest = vec4f(LOWEST);
  var sum = vec4f();
  if (params.resume == 1u) {
    for (var i = 0u; i < 4u; i++) {
      let of_row = stats[rows[i]];
      largest[i] = of_row.x;
      sum[i] = 1.0 / of_row.y;
    }
    for (var d = 0u; d < columns; d++) {
      let at = rows * columns + d;
      before[d] = vec4f(f32(y[at.x]), f32(y[at.y]), f32(y[at.z]), f32(y[at.w])) * sum;
    }
  }
  let q0 = loaded_q[0];
  let q1 = loaded_q[1];
  let q2 = loaded_q[2];
  let q3 = loaded_q[3];
  let q4 = loaded_q[4];
  let q5 = loaded_q[5];
  let q6 = loaded_q[6];
  let q7 = loaded_q[7];
  let q8 = loaded_q[8];
  let q9 = loaded_q[9];
  let q10 = loaded_q[10];
  let q11 = loaded_q[11];
  let q12 = loaded_q[12];
  let q13 = loaded_q[13];
  let q14 = loaded_q[14];
  let q15 = loaded_q[15];
  let q16 = loaded_q[16];
  let q17 = loaded_q[17];
  let q18 = loaded_q[18];
  let q19 = loaded_q[19];
  let q20 = loaded_q[20];
  let q21 = loaded_q[21];
  let q22 = loaded_q[22];
  let q23 = loaded_q[23];
  let q24 = loaded_q[24];
  let q25 = loaded_q[25];
  let q26 = loaded_q[26];
  let q27 = loaded_q[27];
  let q28 = loaded_q[28];
  let q29 = loaded_q[29];
  let q30 = loaded_q[30];
  let q31 = loaded_q[31];
  var s0 = before[0];
  var s1 = before[1];
  var s2 = before[2];
  var s3 = before[3];
  var s4 = before[4];
  var s5 = before[5];
  var s6 = before[6];
  var s7 = before[7];
  var s8 = before[8];
  var s9 = before[9];
  var s10 = before[10];
  var s11 = before[11];
  var s12 = before[12];
  var s13 = before[13];
  var s14 = before[14];
  var s15 = before[15];
  var s16 = before[16];
  var s17 = before[17];
  var s18 = before[18];
  var s19 = before[19];
  var s20 = before[20];
  var s21 = before[21];
  var s22 = before[22];
  var s23 = before[23];
  var s24 = before[24];
  var s25 = before[25];
  var s26 = before[26];
  var s27 = before[27];
  var s28 = before[28];
  var s29 = before[29];
  var s30 = before[30];
  var s31 = before[31];
  // Rows shorter than 32 repeat their last vector, against which this side has zeros and whose sums are not stored.
  let c0 = min(0u, params.vecs - 1u);
  let c1 = min(1u, params.vecs - 1u);
  let c2 = min(2u, params.vecs - 1u);
  let c3 = min(3u, params.vecs - 1u);
  let c4 = min(4u, params.vecs - 1u);
  let c5 = min(5u, params.vecs - 1u);
  let c6 = min(6u, params.vecs - 1u);
  let c7 = min(7u, params.vecs - 1u);
  for (var j = 0u; j < end; j += 2u) {
    let other = min(j + 1u, params.keys - 1u);
    let at_a = (tile.pair * params.keys + j) * params.vecs;
    let at_b = (tile.pair * params.keys + other) * params.vecs;
    let ka0 = vec4f(k[at_a + c0]);
    let ka1 = vec4f(k[at_a + c1]);
    let ka2 = vec4f(k[at_a + c2]);
    let ka3 = vec4f(k[at_a + c3]);
    let ka4 = vec4f(k[at_a + c4]);
    let ka5 = vec4f(k[at_a + c5]);
    let ka6 = vec4f(k[at_a + c6]);
    let ka7 = vec4f(k[at_a + c7]);
    let kb0 = vec4f(k[at_b + c0]);
    let kb1 = vec4f(k[at_b + c1]);
    let kb2 = vec4f(k[at_b + c2]);
    let kb3 = vec4f(k[at_b + c3]);
    let kb4 = vec4f(k[at_b + c4]);
    let kb5 = vec4f(k[at_b + c5]);
    let kb6 = vec4f(k[at_b + c6]);
    let kb7 = vec4f(k[at_b + c7]);
    var dot_a = vec4f();
    dot_a = fma(vec4f(ka0.x), q0, dot_a);
    dot_a = fma(vec4f(ka0.y), q1, dot_a);
    dot_a = fma(vec4f(ka0.z), q2, dot_a);
    dot_a = fma(vec4f(ka0.w), q3, dot_a);
    dot_a = fma(vec4f(ka1.x), q4, dot_a);
    dot_a = fma(vec4f(ka1.y), q5, dot_a);
    dot_a = fma(vec4f(ka1.z), q6, dot_a);
    dot_a = fma(vec4f(ka1.w), q7, dot_a);
    dot_a = fma(vec4f(ka2.x), q8, dot_a);
    dot_a = fma(vec4f(ka2.y), q9, dot_a);
    dot_a = fma(vec4f(ka2.z), q10, dot_a);
    dot_a = fma(vec4f(ka2.w), q11, dot_a);
    dot_a = fma(vec4f(ka3.x), q12, dot_a);
    dot_a = fma(vec4f(ka3.y), q13, dot_a);
    dot_a = fma(vec4f(ka3.z), q14, dot_a);
    dot_a = fma(vec4f(ka3.w), q15, dot_a);
    dot_a = fma(vec4f(ka4.x), q16, dot_a);
    dot_a = fma(vec4f(ka4.y), q17, dot_a);
    dot_a = fma(vec4f(ka4.z), q18, dot_a);
    dot_a = fma(vec4f(ka4.w), q19, dot_a);
    dot_a = fma(vec4f(ka5.x), q20, dot_a);
    dot_a = fma(vec4f(ka5.y), q21, dot_a);
    dot_a = fma(vec4f(ka5.z), q22, dot_a);
    dot_a = fma(vec4f(ka5.w), q23, dot_a);
    dot_a = fma(vec4f(ka6.x), q24, dot_a);
    dot_a = fma(vec4f(ka6.y), q25, dot_a);
    dot_a = fma(vec4f(ka6.z), q26, dot_a);
    dot_a = fma(vec4f(ka6.w), q27, dot_a);
    dot_a = fma(vec4f(ka7.x), q28, dot_a);
    dot_a = fma(vec4f(ka7.y), q29, dot_a);
    dot_a = fma(vec4f(ka7.z), q30, dot_a);
    dot_a = fma(vec4f(ka7.w), q31, dot_a);
    var dot_b = vec4f();
    dot_b = fma(vec4f(kb0.x), q0, dot_b);
    dot_b = fma(vec4f(kb0.y), q1, dot_b);
    dot_b = fma(vec4f(kb0.z), q2, dot_b);
    dot_b = fma(vec4f(kb0.w), q3, dot_b);
    dot_b = fma(vec4f(kb1.x), q4, dot_b);
    dot_b = fma(vec4f(kb1.y), q5, dot_b);
    dot_b = fma(vec4f(kb1.z), q6, dot_b);
    dot_b = fma(vec4f(kb1.w), q7, dot_b);
    dot_b = fma(vec4f(kb2.x), q8, dot_b);
    dot_b = fma(vec4f(kb2.y), q9, dot_b);
    dot_b = fma(vec4f(kb2.z), q10, dot_b);
    dot_b = fma(vec4f(kb2.w), q11, dot_b);
    dot_b = fma(vec4f(kb3.x), q12, dot_b);
    dot_b = fma(vec4f(kb3.y), q13, dot_b);
    dot_b = fma(vec4f(kb3.z), q14, dot_b);
    dot_b = fma(vec4f(kb3.w), q15, dot_b);
    dot_b = fma(vec4f(kb4.x), q16, dot_b);
    dot_b = fma(vec4f(kb4.y), q17, dot_b);
    dot_b = fma(vec4f(kb4.z), q18, dot_b);
    dot_b = fma(vec4f(kb4.w), q19, dot_b);
    dot_b = fma(vec4f(kb5.x), q20, dot_b);
    dot_b = fma(vec4f(kb5.y), q21, dot_b);
    dot_b = fma(vec4f(kb5.z), q22, dot_b);
    dot_b = fma(vec4f(kb5.w), q23, dot_b);
    dot_b = fma(vec4f(kb6.x), q24, dot_b);
    dot_b = fma(vec4f(kb6.y), q25, dot_b);
    dot_b = fma(vec4f(kb6.z), q26, dot_b);
    dot_b = fma(vec4f(kb6.w), q27, dot_b);
    dot_b = fma(vec4f(kb7.x), q28, dot_b);
    dot_b = fma(vec4f(kb7.y), q29, dot_b);
    dot_b = fma(vec4f(kb7.z), q30, dot_b);
    dot_b = fma(vec4f(kb7.w), q31, dot_b);
    let sees_a = vec4u(j) < visible;
    let sees_b = vec4u(j + 1u) < visible;
    let score_a = max(dot_a + bias_of(bias_row + j * params.bias_stride.w), vec4f(LOWEST));
    let score_b = max(dot_b + bias_of(bias_row + other * params.bias_stride.w), vec4f(LOWEST));
    let next = max(largest, max(select(vec4f(LOWEST), score_a, sees_a), select(vec4f(LOWEST), score_b, sees_b)));
    let rescale = exp(largest - next);
    let weight_a = select(vec4f(), exp(score_a - next), sees_a);
    let weight_b = select(vec4f(), exp(score_b - next), sees_b);
    largest = next;
    sum = sum * rescale + weight_a + weight_b;
    let va0 = vec4f(v[at_a + c0]);
    let va1 = vec4f(v[at_a + c1]);
    let va2 = vec4f(v[at_a + c2]);
    let va3 = vec4f(v[at_a + c3]);
    let va4 = vec4f(v[at_a + c4]);
    let va5 = vec4f(v[at_a + c5]);
    let va6 = vec4f(v[at_a + c6]);
    let va7 = vec4f(v[at_a + c7]);
    let vb0 = vec4f(v[at_b + c0]);
    let vb1 = vec4f(v[at_b + c1]);
    let vb2 = vec4f(v[at_b + c2]);
    let vb3 = vec4f(v[at_b + c3]);
    let vb4 = vec4f(v[at_b + c4]);
    let vb5 = vec4f(v[at_b + c5]);
    let vb6 = vec4f(v[at_b + c6]);
    let vb7 = vec4f(v[at_b + c7]);
    s0 = fma(vec4f(vb0.x), weight_b, fma(vec4f(va0.x), weight_a, s0 * rescale));
    s1 = fma(vec4f(vb0.y), weight_b, fma(vec4f(va0.y), weight_a, s1 * rescale));
    s2 = fma(vec4f(vb0.z), weight_b, fma(vec4f(va0.z), weight_a, s2 * rescale));
    s3 = fma(vec4f(vb0.w), weight_b, fma(vec4f(va0.w), weight_a, s3 * rescale));
    s4 = fma(vec4f(vb1.x), weight_b, fma(vec4f(va1.x), weight_a, s4 * rescale));
    s5 = fma(vec4f(vb1.y), weight_b, fma(vec4f(va1.y), weight_a, s5 * rescale));
    s6 = fma(vec4f(vb1.z), weight_b, fma(vec4f(va1.z), weight_a, s6 * rescale));
    s7 = fma(vec4f(vb1.w), weight_b, fma(vec4f(va1.w), weight_a, s7 * rescale));
    s8 = fma(vec4f(vb2.x), weight_b, fma(vec4f(va2.x), weight_a, s8 * rescale));
    s9 = fma(vec4f(vb2.y), weight_b, fma(vec4f(va2.y), weight_a, s9 * rescale));
    s10 = fma(vec4f(vb2.z), weight_b, fma(vec4f(va2.z), weight_a, s10 * rescale));
    s11 = fma(vec4f(vb2.w), weight_b, fma(vec4f(va2.w), weight_a, s11 * rescale));
    s12 = fma(vec4f(vb3.x), weight_b, fma(vec4f(va3.x), weight_a, s12 * rescale));
    s13 = fma(vec4f(vb3.y), weight_b, fma(vec4f(va3.y), weight_a, s13 * rescale));
    s14 = fma(vec4f(vb3.z), weight_b, fma(vec4f(va3.z), weight_a, s14 * rescale));
    s15 = fma(vec4f(vb3.w), weight_b, fma(vec4f(va3.w), weight_a, s15 * rescale));
    s16 = fma(vec4f(vb4.x), weight_b, fma(vec4f(va4.x), weight_a, s16 * rescale));
    s17 = fma(vec4f(vb4.y), weight_b, fma(vec4f(va4.y), weight_a, s17 * rescale));
    s18 = fma(vec4f(vb4.z), weight_b, fma(vec4f(va4.z), weight_a, s18 * rescale));
    s19 = fma(vec4f(vb4.w), weight_b, fma(vec4f(va4.w), weight_a, s19 * rescale));
    s20 = fma(vec4f(vb5.x), weight_b, fma(vec4f(va5.x), weight_a, s20 * rescale));
    s21 = fma(vec4f(vb5.y), weight_b, fma(vec4f(va5.y), weight_a, s21 * rescale));
    s22 = fma(vec4f(vb5.z), weight_b, fma(vec4f(va5.z), weight_a, s22 * rescale));
    s23 = fma(vec4f(vb5.w), weight_b, fma(vec4f(va5.w), weight_a, s23 * rescale));
    s24 = fma(vec4f(vb6.x), weight_b, fma(vec4f(va6.x), weight_a, s24 * rescale));
    s25 = fma(vec4f(vb6.y), weight_b, fma(vec4f(va6.y), weight_a, s25 * rescale));
    s26 = fma(vec4f(vb6.z), weight_b, fma(vec4f(va6.z), weight_a, s26 * rescale));
    s27 = fma(vec4f(vb6.w), weight_b, fma(vec4f(va6.w), weight_a, s27 * rescale));
    s28 = fma(vec4f(vb7.x), weight_b, fma(vec4f(va7.x), weight_a, s28 * rescale));
    s29 = fma(vec4f(vb7.y), weight_b, fma(vec4f(va7.y), weight_a, s29 * rescale));
    s30 = fma(vec4f(vb7.z), weight_b, fma(vec4f(va7.z), weight_a, s30 * rescale));
    s31 = fma(vec4f(vb7.w), weight_b, fma(vec4f(va7.w), weight_a, s31 * rescale));
  }
  let rsum = 1.0 / sum;
  var made = array<vec4f, 32>(
    s0, s1, s2, s3, s4, s5, s6, s7,
    s8, s9, s10, s11, s12, s13, s14, s15,
    s16, s17, s18, s19, s20, s21, s22, s23,
    s24, s25, s26, s27, s28, s29, s30, s31,
  );
  for (var d = 0u; d < columns; d++) {
    let y_values = made[d] * rsum;
    for (var i = 0u; i < 4u; i++) {
      if (tile.used[i]) {
        y[rows[i] * columns + d] = y_t(y_values[i]);
      }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    if (tile.used[i]) {
      stats[rows[i]] = vec2f(largest[i], rsum[i]);
    }
  }
}
