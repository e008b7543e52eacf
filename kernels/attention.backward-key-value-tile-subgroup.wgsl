// attention.backward-key-value.wgsl for CPU adapters with subgroups of 8 or more (lavapipe) and head dimensions up to 32: 4 keys an
// invocation, two queries a step. Same formula, bindings and params. Such an adapter loads lane by lane even where all lanes read one address. Hence the
// lanes of a subgroup load a query and its row of dY once, a few dimensions each, and each number goes to all lanes by a broadcast in registers.
enable subgroups;

override LANES: u32 = 8;

@group(0) @binding(0) var<storage, read> q: array<q_t>;
@group(0) @binding(1) var<storage, read> k: array<k_t>;
@group(0) @binding(2) var<storage, read> v: array<v_t>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<dy_t>;
@group(0) @binding(5) var<storage, read> row: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dk: array<dk_t>;
@group(0) @binding(7) var<storage, read_write> dv: array<dv_t>;
@group(0) @binding(8) var<uniform> params: Params;

#include "include/attention-tile.wgsl"
#include "include/attention-tile-subgroup.wgsl"
#include "include/flat-index.wgsl"

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  if (workgroup >= params.pairs * tiles_of(params.keys)) {
    return;
  }
  let tile = tile_of(workgroup, lane, params.keys);
  let columns = 4u * params.vecs;
  let rows = tile.pair * params.keys + tile.row;
  // The workgroup begins with the first query that sees its first key.
  let start = select(0u, first_query(vec4u(first_of(workgroup, params.keys))).x, params.causal == 1u);
  let first_visible = select(vec4u(0u), first_query(tile.row), params.causal == 1u);
  let bias_column = bias_start(tile.pair) + tile.row * params.bias_stride.w;
  var loaded_k: array<vec4f, 32>;
  var loaded_v: array<vec4f, 32>;
  for (var d = 0u; d < columns; d++) {
    let at = rows * columns + d;
    loaded_k[d] = vec4f(f32(k[at.x]), f32(k[at.y]), f32(k[at.z]), f32(k[at.w])) * params.scale;
    loaded_v[d] = vec4f(f32(v[at.x]), f32(v[at.y]), f32(v[at.z]), f32(v[at.w]));
  }
  var key = loaded_k;
  var value = loaded_v;
  var sums_k: array<vec4f, 32>;
  var sums_v: array<vec4f, 32>;
  let column = columns_of(subgroup_lane, columns);
  for (var i = start; i < params.queries; i += 2u) {
    let other = min(i + 1u, params.queries - 1u);
    let at_a = (tile.pair * params.queries + i) * columns + column;
    let at_b = (tile.pair * params.queries + other) * columns + column;
    let row_a = row[tile.pair * params.queries + i];
    let row_b = row[tile.pair * params.queries + other];
    let query_a = vec4f(f32(q[at_a.x]), f32(q[at_a.y]), f32(q[at_a.z]), f32(q[at_a.w]));
    let query_b = vec4f(f32(q[at_b.x]), f32(q[at_b.y]), f32(q[at_b.z]), f32(q[at_b.w]));
    let dy_a = vec4f(f32(dy[at_a.x]), f32(dy[at_a.y]), f32(dy[at_a.z]), f32(dy[at_a.w]));
    let dy_b = vec4f(f32(dy[at_b.x]), f32(dy[at_b.y]), f32(dy[at_b.z]), f32(dy[at_b.w]));
    let score_a = max(dot_row(query_a, &key) + bias_of(bias_column + i * params.bias_stride.z), vec4f(LOWEST));
    let score_b = max(dot_row(query_b, &key) + bias_of(bias_column + other * params.bias_stride.z), vec4f(LOWEST));
    let weight_a = select(vec4f(), exp(score_a - row_a.x) * row_a.y, vec4u(i) >= first_visible);
    let weight_b = select(vec4f(), exp(score_b - row_b.x) * row_b.y, (vec4u(i + 1u) >= first_visible) & vec4<bool>(i + 1u < params.queries));
    let ds_a = weight_a * (dot_row(dy_a, &value) - row_a.z);
    let ds_b = weight_b * (dot_row(dy_b, &value) - row_b.z);
    add_rows(&sums_k, vec4f(1.0), query_a, ds_a, query_b, ds_b);
    add_rows(&sums_v, vec4f(1.0), dy_a, weight_a, dy_b, weight_b);
  }
  var made_k = sums_k;
  var made_v = sums_v;
  for (var d = 0u; d < columns; d++) {
    let dk_values = made_k[d] * params.scale;
    let dv_values = made_v[d];
    for (var i = 0u; i < 4u; i++) {
      if (tile.used[i]) {
        dk[rows[i] * columns + d] = dk_t(dk_values[i]);
        dv[rows[i] * columns + d] = dv_t(dv_values[i]);
      }
    }
  }
}
