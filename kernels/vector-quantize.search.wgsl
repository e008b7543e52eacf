// The code of each row: id_n = argmax_k scores[k, n], the first of equals.
// scores: [codes, rows]. ids: [rows]. One invocation a row, so that neighbours read neighbouring scores.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, codes: u32 }

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read_write> ids: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.rows) {
    return;
  }
  var best = 0u;
  var largest = scores[row];
  for (var code = 1u; code < params.codes; code++) {
    let score = scores[code * params.rows + row];
    if (score > largest) {
      largest = score;
      best = code;
    }
  }
  ids[row] = best;
}
