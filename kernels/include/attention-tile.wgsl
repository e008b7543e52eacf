// What the kernels of attention share in which an invocation computes 4 queries: first + lane + LANES·j of a workgroup's 4·LANES. Head
// dimensions up to 32. No maximum and no sum goes across lanes.
#include "include/attention-params.wgsl"

struct Tile {
  rows: vec4u, // of q, y and stats
  used: vec4<bool>,
  keys: u32, // the first row of k and v
  visible: vec4u, // keys of each query
  bias: vec4u, // the first elements
}

fn tiles_of_pair() -> u32 {
  return (params.queries + 4u * LANES - 1u) / (4u * LANES);
}

fn tile_of(workgroup: u32, lane: u32) -> Tile {
  let size = 4u * LANES;
  let pair = workgroup / tiles_of_pair();
  let first = workgroup % tiles_of_pair() * size;
  let wanted = first + lane + vec4u(0u, 1u, 2u, 3u) * LANES;
  // Past the end the last query is computed again and not stored: no branches in the loop.
  let row = min(wanted, vec4u(params.queries - 1u));
  var visible = vec4u(params.keys);
  if (params.causal == 1u) {
    visible = vec4u(clamp(vec4i(row) + 1 + params.diagonal, vec4i(0), vec4i(i32(params.keys))));
  }
  return Tile(pair * params.queries + row, wanted < vec4u(params.queries), pair * params.keys, visible, bias_start(pair) + row * params.bias_stride.z);
}

// The keys of a workgroup's last query, which sees the most.
fn end_of(workgroup: u32) -> u32 {
  if (params.causal == 0u) {
    return params.keys;
  }
  let size = 4u * LANES;
  let end = min(workgroup % tiles_of_pair() * size + size, params.queries);
  return u32(clamp(i32(end) + params.diagonal, 0, i32(params.keys)));
}

fn bias_of(tile: Tile, key: u32) -> vec4f {
  if (params.has_bias == 0u) {
    return vec4f();
  }
  let at = tile.bias + key * params.bias_stride.w;
  return vec4f(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
}

// These go over the dimensions in loops, which compilers keep as such; the kernels index what they give by constants alone, so that it
// can be registers there. Unrolled, 32 times 4 loads compile for ten seconds on lavapipe.
fn scaled_queries(rows: vec4u) -> array<vec4f, 32> {
  var values: array<vec4f, 32>;
  let columns = 4u * params.vecs;
  for (var d = 0u; d < columns; d++) {
    let at = rows * columns + d;
    values[d] = vec4f(f32(q[at.x]), f32(q[at.y]), f32(q[at.z]), f32(q[at.w])) * params.scale;
  }
  return values;
}

// The sums so far where the pass goes on, else zeros. In `largest` and `sum` each query's (m, Σ).
fn sums_before(rows: vec4u, largest: ptr<function, vec4f>, sum: ptr<function, vec4f>) -> array<vec4f, 32> {
  var values: array<vec4f, 32>;
  *largest = vec4f(LOWEST);
  *sum = vec4f();
  if (params.resume == 1u) {
    for (var i = 0u; i < 4u; i++) {
      let before = stats[rows[i]];
      (*largest)[i] = before.x;
      (*sum)[i] = 1.0 / before.y;
    }
    let columns = 4u * params.vecs;
    for (var d = 0u; d < columns; d++) {
      let at = rows * columns + d;
      values[d] = vec4f(f32(y[at.x]), f32(y[at.y]), f32(y[at.z]), f32(y[at.w])) * *sum;
    }
  }
  return values;
}

fn store(tile: Tile, largest: vec4f, sum: vec4f, sums: array<vec4f, 32>) {
  let rsum = 1.0 / sum;
  var values = sums;
  let columns = 4u * params.vecs;
  for (var d = 0u; d < columns; d++) {
    let value = values[d] * rsum;
    for (var i = 0u; i < 4u; i++) {
      if (tile.used[i]) {
        y[tile.rows[i] * columns + d] = y_t(value[i]);
      }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    if (tile.used[i]) {
      stats[tile.rows[i]] = vec2f(largest[i], rsum[i]);
    }
  }
}
