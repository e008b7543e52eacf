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
#include "include/flat-index.wgsl"

// The products of one key with 4 queries: lane l holds what the key has in dimensions l, 8 + l, 16 + l and 24 + l.
fn dot_key(key: vec4f, query: ptr<function, array<vec4f, 32>>) -> vec4f {
  var sum = vec4f();
  sum += subgroupBroadcast(key.x, 0u) * (*query)[0];
  sum += subgroupBroadcast(key.x, 1u) * (*query)[1];
  sum += subgroupBroadcast(key.x, 2u) * (*query)[2];
  sum += subgroupBroadcast(key.x, 3u) * (*query)[3];
  sum += subgroupBroadcast(key.x, 4u) * (*query)[4];
  sum += subgroupBroadcast(key.x, 5u) * (*query)[5];
  sum += subgroupBroadcast(key.x, 6u) * (*query)[6];
  sum += subgroupBroadcast(key.x, 7u) * (*query)[7];
  sum += subgroupBroadcast(key.y, 0u) * (*query)[8];
  sum += subgroupBroadcast(key.y, 1u) * (*query)[9];
  sum += subgroupBroadcast(key.y, 2u) * (*query)[10];
  sum += subgroupBroadcast(key.y, 3u) * (*query)[11];
  sum += subgroupBroadcast(key.y, 4u) * (*query)[12];
  sum += subgroupBroadcast(key.y, 5u) * (*query)[13];
  sum += subgroupBroadcast(key.y, 6u) * (*query)[14];
  sum += subgroupBroadcast(key.y, 7u) * (*query)[15];
  sum += subgroupBroadcast(key.z, 0u) * (*query)[16];
  sum += subgroupBroadcast(key.z, 1u) * (*query)[17];
  sum += subgroupBroadcast(key.z, 2u) * (*query)[18];
  sum += subgroupBroadcast(key.z, 3u) * (*query)[19];
  sum += subgroupBroadcast(key.z, 4u) * (*query)[20];
  sum += subgroupBroadcast(key.z, 5u) * (*query)[21];
  sum += subgroupBroadcast(key.z, 6u) * (*query)[22];
  sum += subgroupBroadcast(key.z, 7u) * (*query)[23];
  sum += subgroupBroadcast(key.w, 0u) * (*query)[24];
  sum += subgroupBroadcast(key.w, 1u) * (*query)[25];
  sum += subgroupBroadcast(key.w, 2u) * (*query)[26];
  sum += subgroupBroadcast(key.w, 3u) * (*query)[27];
  sum += subgroupBroadcast(key.w, 4u) * (*query)[28];
  sum += subgroupBroadcast(key.w, 5u) * (*query)[29];
  sum += subgroupBroadcast(key.w, 6u) * (*query)[30];
  sum += subgroupBroadcast(key.w, 7u) * (*query)[31];
  return sum;
}

// Adds the values of two keys, weighted for each query, to what was there before times `rescale`.
fn add_values(sums: ptr<function, array<vec4f, 32>>, rescale: vec4f, a: vec4f, weight_a: vec4f, b: vec4f, weight_b: vec4f) {
  (*sums)[0] = (*sums)[0] * rescale + subgroupBroadcast(a.x, 0u) * weight_a + subgroupBroadcast(b.x, 0u) * weight_b;
  (*sums)[1] = (*sums)[1] * rescale + subgroupBroadcast(a.x, 1u) * weight_a + subgroupBroadcast(b.x, 1u) * weight_b;
  (*sums)[2] = (*sums)[2] * rescale + subgroupBroadcast(a.x, 2u) * weight_a + subgroupBroadcast(b.x, 2u) * weight_b;
  (*sums)[3] = (*sums)[3] * rescale + subgroupBroadcast(a.x, 3u) * weight_a + subgroupBroadcast(b.x, 3u) * weight_b;
  (*sums)[4] = (*sums)[4] * rescale + subgroupBroadcast(a.x, 4u) * weight_a + subgroupBroadcast(b.x, 4u) * weight_b;
  (*sums)[5] = (*sums)[5] * rescale + subgroupBroadcast(a.x, 5u) * weight_a + subgroupBroadcast(b.x, 5u) * weight_b;
  (*sums)[6] = (*sums)[6] * rescale + subgroupBroadcast(a.x, 6u) * weight_a + subgroupBroadcast(b.x, 6u) * weight_b;
  (*sums)[7] = (*sums)[7] * rescale + subgroupBroadcast(a.x, 7u) * weight_a + subgroupBroadcast(b.x, 7u) * weight_b;
  (*sums)[8] = (*sums)[8] * rescale + subgroupBroadcast(a.y, 0u) * weight_a + subgroupBroadcast(b.y, 0u) * weight_b;
  (*sums)[9] = (*sums)[9] * rescale + subgroupBroadcast(a.y, 1u) * weight_a + subgroupBroadcast(b.y, 1u) * weight_b;
  (*sums)[10] = (*sums)[10] * rescale + subgroupBroadcast(a.y, 2u) * weight_a + subgroupBroadcast(b.y, 2u) * weight_b;
  (*sums)[11] = (*sums)[11] * rescale + subgroupBroadcast(a.y, 3u) * weight_a + subgroupBroadcast(b.y, 3u) * weight_b;
  (*sums)[12] = (*sums)[12] * rescale + subgroupBroadcast(a.y, 4u) * weight_a + subgroupBroadcast(b.y, 4u) * weight_b;
  (*sums)[13] = (*sums)[13] * rescale + subgroupBroadcast(a.y, 5u) * weight_a + subgroupBroadcast(b.y, 5u) * weight_b;
  (*sums)[14] = (*sums)[14] * rescale + subgroupBroadcast(a.y, 6u) * weight_a + subgroupBroadcast(b.y, 6u) * weight_b;
  (*sums)[15] = (*sums)[15] * rescale + subgroupBroadcast(a.y, 7u) * weight_a + subgroupBroadcast(b.y, 7u) * weight_b;
  (*sums)[16] = (*sums)[16] * rescale + subgroupBroadcast(a.z, 0u) * weight_a + subgroupBroadcast(b.z, 0u) * weight_b;
  (*sums)[17] = (*sums)[17] * rescale + subgroupBroadcast(a.z, 1u) * weight_a + subgroupBroadcast(b.z, 1u) * weight_b;
  (*sums)[18] = (*sums)[18] * rescale + subgroupBroadcast(a.z, 2u) * weight_a + subgroupBroadcast(b.z, 2u) * weight_b;
  (*sums)[19] = (*sums)[19] * rescale + subgroupBroadcast(a.z, 3u) * weight_a + subgroupBroadcast(b.z, 3u) * weight_b;
  (*sums)[20] = (*sums)[20] * rescale + subgroupBroadcast(a.z, 4u) * weight_a + subgroupBroadcast(b.z, 4u) * weight_b;
  (*sums)[21] = (*sums)[21] * rescale + subgroupBroadcast(a.z, 5u) * weight_a + subgroupBroadcast(b.z, 5u) * weight_b;
  (*sums)[22] = (*sums)[22] * rescale + subgroupBroadcast(a.z, 6u) * weight_a + subgroupBroadcast(b.z, 6u) * weight_b;
  (*sums)[23] = (*sums)[23] * rescale + subgroupBroadcast(a.z, 7u) * weight_a + subgroupBroadcast(b.z, 7u) * weight_b;
  (*sums)[24] = (*sums)[24] * rescale + subgroupBroadcast(a.w, 0u) * weight_a + subgroupBroadcast(b.w, 0u) * weight_b;
  (*sums)[25] = (*sums)[25] * rescale + subgroupBroadcast(a.w, 1u) * weight_a + subgroupBroadcast(b.w, 1u) * weight_b;
  (*sums)[26] = (*sums)[26] * rescale + subgroupBroadcast(a.w, 2u) * weight_a + subgroupBroadcast(b.w, 2u) * weight_b;
  (*sums)[27] = (*sums)[27] * rescale + subgroupBroadcast(a.w, 3u) * weight_a + subgroupBroadcast(b.w, 3u) * weight_b;
  (*sums)[28] = (*sums)[28] * rescale + subgroupBroadcast(a.w, 4u) * weight_a + subgroupBroadcast(b.w, 4u) * weight_b;
  (*sums)[29] = (*sums)[29] * rescale + subgroupBroadcast(a.w, 5u) * weight_a + subgroupBroadcast(b.w, 5u) * weight_b;
  (*sums)[30] = (*sums)[30] * rescale + subgroupBroadcast(a.w, 6u) * weight_a + subgroupBroadcast(b.w, 6u) * weight_b;
  (*sums)[31] = (*sums)[31] * rescale + subgroupBroadcast(a.w, 7u) * weight_a + subgroupBroadcast(b.w, 7u) * weight_b;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  if (workgroup >= params.pairs * tiles_of_pair()) {
    return;
  }
  let tile = tile_of(workgroup, lane);
  let end = end_of(workgroup);
  let columns = 4u * params.vecs;
  let column = min(subgroup_lane % 8u + vec4u(0u, 8u, 16u, 24u), vec4u(columns - 1u));
  var largest: vec4f;
  var sum: vec4f;
  var query = scaled_queries(tile.rows);
  var sums = sums_before(tile.rows, &largest, &sum);
  for (var j = 0u; j < end; j += 2u) {
    let other = min(j + 1u, params.keys - 1u);
    let at_a = (tile.keys + j) * columns + column;
    let at_b = (tile.keys + other) * columns + column;
    let key_a = vec4f(f32(k[at_a.x]), f32(k[at_a.y]), f32(k[at_a.z]), f32(k[at_a.w]));
    let key_b = vec4f(f32(k[at_b.x]), f32(k[at_b.y]), f32(k[at_b.z]), f32(k[at_b.w]));
    let sees_a = vec4u(j) < tile.visible;
    let sees_b = vec4u(j + 1u) < tile.visible;
    let score_a = max(dot_key(key_a, &query) + bias_of(tile, j), vec4f(LOWEST));
    let score_b = max(dot_key(key_b, &query) + bias_of(tile, other), vec4f(LOWEST));
    let next = max(largest, max(select(vec4f(LOWEST), score_a, sees_a), select(vec4f(LOWEST), score_b, sees_b)));
    let rescale = exp(largest - next);
    let weight_a = select(vec4f(), exp(score_a - next), sees_a);
    let weight_b = select(vec4f(), exp(score_b - next), sees_b);
    largest = next;
    sum = sum * rescale + weight_a + weight_b;
    let value_a = vec4f(f32(v[at_a.x]), f32(v[at_a.y]), f32(v[at_a.z]), f32(v[at_a.w]));
    let value_b = vec4f(f32(v[at_b.x]), f32(v[at_b.y]), f32(v[at_b.z]), f32(v[at_b.w]));
    add_values(&sums, rescale, value_a, weight_a, value_b, weight_b);
  }
  store(tile, largest, sum, sums);
}
