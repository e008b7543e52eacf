// Gradient of conv3d with respect to its bias, for each batch item: d_bias[n, c] = Σ_p dY[n, c, p]; the host sums over n.
// dy: [rows, columns] with a row for each (n, c). d_bias: [rows].
// One workgroup a row.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> dy: array<dy_t>;
@group(0) @binding(1) var<storage, read_write> d_bias: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups);
  if (row >= params.rows) {
    return;
  }
  var partial = 0.0;
  for (var c = lane; c < params.columns; c += WORKGROUP_SIZE) {
    partial += f32(dy[row * params.columns + c]);
  }
  let sum = workgroup_sum(partial, lane);
  if (lane == 0u) {
    d_bias[row] = sum;
  }
}
