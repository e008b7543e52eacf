// Trilinear interpolation of a volume to another extent, centres aligned (PyTorch's align_corners = false):
//   y[r, o] = Σ over the 8 corners of the cell around source(o) of weight · x[r, corner].
// x: [rows, in_count]. y: [rows, out_count]: the parts from in_first and out_first on of volumes of in_extent and out_extent. A row is
// one channel of one batch item; axes D, Y, X are in x, y, z.
// One invocation an output.
override WORKGROUP_SIZE: u32 = 64;

struct Params { in_extent: vec4u, in_first: vec4u, in_count: vec4u, out_extent: vec4u, out_first: vec4u, out_count: vec4u, rows: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/interpolate-axis.wgsl"

fn source_in_part(o: u32, axis: u32) -> Source {
  let source = source_of(params.out_first[axis] + o, params.in_extent[axis], params.out_extent[axis]);
  return Source(source.low - params.in_first[axis], source.high - params.in_first[axis], source.fraction);
}

fn along_x(line: u32, source: Source) -> f32 {
  return (1.0 - source.fraction) * x[line + source.low] + source.fraction * x[line + source.high];
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let extent = params.in_count;
  let out = params.out_count;
  let volume = out.x * out.y * out.z;
  if (i >= params.rows * volume) {
    return;
  }
  let z = source_in_part(i % volume / (out.y * out.z), 0u);
  let row = source_in_part(i / out.z % out.y, 1u);
  let column = source_in_part(i % out.z, 2u);
  let near = (i / volume * extent.x + z.low) * extent.y;
  let far = (i / volume * extent.x + z.high) * extent.y;
  let near_plane = (1.0 - row.fraction) * along_x((near + row.low) * extent.z, column) + row.fraction * along_x((near + row.high) * extent.z, column);
  let far_plane = (1.0 - row.fraction) * along_x((far + row.low) * extent.z, column) + row.fraction * along_x((far + row.high) * extent.z, column);
  y[i] = (1.0 - z.fraction) * near_plane + z.fraction * far_plane;
}
