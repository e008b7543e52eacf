// attention.backward-query.wgsl for CPU adapters with subgroups of 8 or more (lavapipe) and head dimensions up to 32: 4 queries an
// invocation, two keys a step. Same formula, bindings and params. Such an adapter loads lane by lane even where all lanes read one address. Hence the
// lanes of a subgroup load a key and its value once, a few dimensions each, and each number goes to all lanes by a broadcast in registers.
enable subgroups;

override LANES: u32 = 8;

@group(0) @binding(0) var<storage, read> q: array<q_t>;
@group(0) @binding(1) var<storage, read> k: array<k_t>;
@group(0) @binding(2) var<storage, read> v: array<v_t>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<dy_t>;
@group(0) @binding(5) var<storage, read> row: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dq: array<dq_t>;
@group(0) @binding(7) var<uniform> params: Params;

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
  let rows4 = array<vec4f, 4>(row[rows.x], row[rows.y], row[rows.z], row[rows.w]);
  let largest = vec4f(rows4[0].x, rows4[1].x, rows4[2].x, rows4[3].x);
  let rsum = vec4f(rows4[0].y, rows4[1].y, rows4[2].y, rows4[3].y);
  let delta = vec4f(rows4[0].z, rows4[1].z, rows4[2].z, rows4[3].z);
  var loaded_q: array<vec4f, 32>;
  var loaded_dy: array<vec4f, 32>;
  for (var d = 0u; d < columns; d++) {
    let at = rows * columns + d;
    loaded_q[d] = vec4f(f32(q[at.x]), f32(q[at.y]), f32(q[at.z]), f32(q[at.w])) * params.scale;
    loaded_dy[d] = vec4f(f32(dy[at.x]), f32(dy[at.y]), f32(dy[at.z]), f32(dy[at.w]));
  }
  var query = loaded_q;
  var gradient = loaded_dy;
  var sums: array<vec4f, 32>;
  let column = columns_of(subgroup_lane, columns);
  for (var j = 0u; j < end; j += 2u) {
    let other = min(j + 1u, params.keys - 1u);
    let at_a = (tile.pair * params.keys + j) * columns + column;
    let at_b = (tile.pair * params.keys + other) * columns + column;
    let key_a = vec4f(f32(k[at_a.x]), f32(k[at_a.y]), f32(k[at_a.z]), f32(k[at_a.w]));
    let key_b = vec4f(f32(k[at_b.x]), f32(k[at_b.y]), f32(k[at_b.z]), f32(k[at_b.w]));
    let value_a = vec4f(f32(v[at_a.x]), f32(v[at_a.y]), f32(v[at_a.z]), f32(v[at_a.w]));
    let value_b = vec4f(f32(v[at_b.x]), f32(v[at_b.y]), f32(v[at_b.z]), f32(v[at_b.w]));
    let score_a = max(dot_row(key_a, &query) + bias_of(bias_row + j * params.bias_stride.w), vec4f(LOWEST));
    let score_b = max(dot_row(key_b, &query) + bias_of(bias_row + other * params.bias_stride.w), vec4f(LOWEST));
    let weight_a = select(vec4f(), exp(score_a - largest) * rsum, vec4u(j) < visible);
    let weight_b = select(vec4f(), exp(score_b - largest) * rsum, vec4u(j + 1u) < visible);
    let ds_a = weight_a * (dot_row(value_a, &gradient) - delta);
    let ds_b = weight_b * (dot_row(value_b, &gradient) - delta);
    add_rows(&sums, vec4f(1.0), key_a, ds_a, key_b, ds_b);
  }
  var made = sums;
  for (var d = 0u; d < columns; d++) {
    let dq_values = made[d] * params.scale;
    for (var i = 0u; i < 4u; i++) {
      if (tile.used[i]) {
        dq[rows[i] * columns + d] = dq_t(dq_values[i]);
      }
    }
  }
}
