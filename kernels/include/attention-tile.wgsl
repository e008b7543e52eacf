// What the kernels of attention share in which an invocation computes 4 rows (queries or keys), first + lane + LANES·j of a workgroup's
// 4·LANES. Head dimensions up to 32. No sum goes across lanes.
// Rows are loaded and stored in loops over the dimensions, which compilers keep as such; between them the kernels index them by constants
// alone, so that they can be registers. Unrolled, 32 times 4 loads compile for ten seconds on lavapipe.
#include "include/attention-params.wgsl"

fn tiles_of(count: u32) -> u32 {
  return (count + 4u * LANES - 1u) / (4u * LANES);
}

fn first_of(workgroup: u32, count: u32) -> u32 {
  return workgroup % tiles_of(count) * 4u * LANES;
}

// Past the end the last row is computed again and not stored: no branches in the loop.
struct Tile { pair: u32, row: vec4u, used: vec4<bool> }

fn tile_of(workgroup: u32, lane: u32, count: u32) -> Tile {
  let wanted = first_of(workgroup, count) + lane + vec4u(0u, 1u, 2u, 3u) * LANES;
  return Tile(workgroup / tiles_of(count), min(wanted, vec4u(count - 1u)), wanted < vec4u(count));
}

// How many keys queries see, and the first queries that see keys, where causal.
fn visible_keys(i: vec4u) -> vec4u {
  return vec4u(clamp(vec4i(i) + 1 + params.diagonal, vec4i(0), vec4i(i32(params.keys))));
}

fn first_query(j: vec4u) -> vec4u {
  return vec4u(max(vec4i(j) - params.diagonal, vec4i(0)));
}

// The keys that a workgroup of queries goes over: those of its last query, which sees the most.
fn end_of(workgroup: u32) -> u32 {
  let end = min(first_of(workgroup, params.queries) + 4u * LANES, params.queries);
  return select(params.keys, visible_keys(vec4u(end - 1u)).x, params.causal == 1u);
}

fn bias_of(at: vec4u) -> vec4f {
  if (params.has_bias == 0u) {
    return vec4f();
  }
  return vec4f(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
}
