// Rows of a table: y_n = weight[ids_n].
// ids: [count]. weight: [vocabulary, columns]. y: [count, columns]. One invocation an element of y.
// An id past the table reads its last row; the host has refused it before.
override WORKGROUP_SIZE: u32 = 64;

struct Params { count: u32, columns: u32, vocabulary: u32 }

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.count * params.columns) {
    return;
  }
  let row = min(ids[i / params.columns], params.vocabulary - 1u);
  y[i] = weight[row * params.columns + i % params.columns];
}
