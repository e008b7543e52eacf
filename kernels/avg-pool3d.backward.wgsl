// Gradient of avg-pool3d: dX[r, i] = (1/|kernel|) Σ dY[r, o] over the windows o that hold i.
// dy: [rows, out_count]. dx: [rows, in_count]: the parts from out_first and in_first on of the volumes. A row is one channel of one
// batch item; axes D, Y, X are in x, y, z.
// One invocation an input: a gather, so windows may overlap or leave gaps.
override WORKGROUP_SIZE: u32 = 64;

struct Params { in_first: vec4u, in_count: vec4u, out_first: vec4u, out_count: vec4u, kernel: vec4u, stride: vec4u, rows: u32 }

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let extent = params.in_count;
  let volume = extent.x * extent.y * extent.z;
  if (i >= params.rows * volume) {
    return;
  }
  let at = params.in_first.xyz + vec3u(i % volume / (extent.y * extent.z), i / extent.z % extent.y, i % extent.z);
  let out_first = params.out_first.xyz;
  let out = params.out_count.xyz;
  let kernel = params.kernel.xyz;
  let stride = params.stride.xyz;
  let first = (max(at + 1u, kernel) - kernel + stride - 1u) / stride - out_first;
  let end = min(at / stride + 1u - out_first, out);
  var sum = 0.0;
  for (var d = first.x; d < end.x; d++) {
    for (var h = first.y; h < end.y; h++) {
      for (var w = first.z; w < end.z; w++) {
        sum += dy[((i / volume * out.x + d) * out.y + h) * out.z + w];
      }
    }
  }
  dx[i] = sum / f32(kernel.x * kernel.y * kernel.z);
}
