// Mean over windows of a volume: y[r, o] = (1/|kernel|) Σ_k x[r, o·stride + k].
// x: [rows, in_extent]. y: [rows, out_extent]. A row is one channel of one batch item; axes D, Y, X are in x, y, z.
// One invocation an output; the host keeps every window inside the input.
override WORKGROUP_SIZE: u32 = 64;

struct Params { in_extent: vec4u, out_extent: vec4u, kernel: vec4u, stride: vec4u, rows: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let out = params.out_extent;
  let volume = out.x * out.y * out.z;
  if (i >= params.rows * volume) {
    return;
  }
  let first = vec3u(i % volume / (out.y * out.z), i / out.z % out.y, i % out.z) * params.stride.xyz;
  var sum = 0.0;
  for (var d = 0u; d < params.kernel.x; d++) {
    for (var h = 0u; h < params.kernel.y; h++) {
      let line = ((i / volume * params.in_extent.x + first.x + d) * params.in_extent.y + first.y + h) * params.in_extent.z + first.z;
      for (var w = 0u; w < params.kernel.z; w++) {
        sum += x[line + w];
      }
    }
  }
  y[i] = sum / f32(params.kernel.x * params.kernel.y * params.kernel.z);
}
