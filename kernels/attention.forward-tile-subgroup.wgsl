// attention.forward.wgsl for CPU adapters with subgroups of 8 or more (lavapipe) and head dimensions up to 32: 4 queries an invocation, two
// keys a step. Same formula, bindings and params. Such an adapter loads lane by lane even where all lanes read one address. Hence the
// lanes of a subgroup load a key and its value once, a few dimensions each, and each number goes to all lanes by a broadcast in registers.
enable subgroups;

override LANES: u32 = 8;

@group(0) @binding(0) var<storage, read> q: array<q_t>;
@group(0) @binding(1) var<storage, read> k: array<k_t>;
@group(0) @binding(2) var<storage, read> v: array<v_t>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<y_t>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(6) var<uniform> params: Params;

#include "include/attention-tile.wgsl"
#include "include/attention-tile-subgroup.wgsl"
#include "include/flat-index.wgsl"

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
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
  var query = loaded_q;
  var sums = before;
  let column = columns_of(subgroup_lane, columns);
  for (var j = 0u; j < end; j += 2u) {
    let other = min(j + 1u, params.keys - 1u);
    let at_a = (tile.pair * params.keys + j) * columns + column;
    let at_b = (tile.pair * params.keys + other) * columns + column;
    let key_a = vec4f(f32(k[at_a.x]), f32(k[at_a.y]), f32(k[at_a.z]), f32(k[at_a.w]));
    let key_b = vec4f(f32(k[at_b.x]), f32(k[at_b.y]), f32(k[at_b.z]), f32(k[at_b.w]));
    let sees_a = vec4u(j) < visible;
    let sees_b = vec4u(j + 1u) < visible;
    let score_a = max(dot_row(key_a, &query) + bias_of(bias_row + j * params.bias_stride.w), vec4f(LOWEST));
    let score_b = max(dot_row(key_b, &query) + bias_of(bias_row + other * params.bias_stride.w), vec4f(LOWEST));
    let next = max(largest, max(select(vec4f(LOWEST), score_a, sees_a), select(vec4f(LOWEST), score_b, sees_b)));
    let rescale = exp(largest - next);
    let weight_a = select(vec4f(), exp(score_a - next), sees_a);
    let weight_b = select(vec4f(), exp(score_b - next), sees_b);
    largest = next;
    sum = sum * rescale + weight_a + weight_b;
    let value_a = vec4f(f32(v[at_a.x]), f32(v[at_a.y]), f32(v[at_a.z]), f32(v[at_a.w]));
    let value_b = vec4f(f32(v[at_b.x]), f32(v[at_b.y]), f32(v[at_b.z]), f32(v[at_b.w]));
    add_rows(&sums, rescale, value_a, weight_a, value_b, weight_b);
  }
  let rsum = 1.0 / sum;
  var made = sums;
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
