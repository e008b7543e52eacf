// Gradient of conv3d with respect to its weight, one output channel an invocation: for groups with fewer than 4 output channels
// (depthwise convolution).
//   dWeight[g, o, c, tap] = Σ_{n, p} dY[n, g, o, p] · x[n, g, c, p·stride + tap·dilation − padding], p over one chunk of output rows.
// x: [batch, groups, in_channels, in_extent]. dy: [batch, groups, out_channels, out_extent].
// d_weight: [chunks, groups·out_channels, in_channels·taps], partial sums that the host adds up.
// A workgroup computes one output channel at LANES pairs (c, tap), one pair an invocation.
override LANES: u32 = 32;

#include "include/conv3d-weight-params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> dy: array<dy_t>;
@group(0) @binding(2) var<storage, read_write> d_weight: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  let in_extent = params.in_extent.xyz;
  let out_extent = params.out_extent.xyz;
  let taps = u32(params.kernel.x * params.kernel.y * params.kernel.z);
  let columns = params.in_channels * taps;
  let channels = params.groups * params.out_channels;
  let channel = workgroup % channels;
  let column_chunks = (columns + LANES - 1u) / LANES;
  let column = workgroup / channels % column_chunks * LANES + lane;
  let chunk = workgroup / (channels * column_chunks);
  if (column >= columns || chunk >= params.chunks) {
    return;
  }
  let origin = tap_origin(column % taps);
  let in_volume = u32(in_extent.x * in_extent.y * in_extent.z);
  let lines = u32(out_extent.x * out_extent.y);
  let x_channel = channel / params.out_channels * params.in_channels + column / taps;
  let rows = params.batch * lines;
  var sum = 0.0;
  for (var row = chunk * params.rows_per_chunk; row < min(rows, (chunk + 1u) * params.rows_per_chunk); row++) {
    let n = row / lines;
    let in_row = i32(row) / out_extent.y % out_extent.x * params.stride.x + origin.x;
    let in_line = i32(row) % out_extent.y * params.stride.y + origin.y;
    let line_inside = u32(in_row) < u32(in_extent.x) && u32(in_line) < u32(in_extent.y);
    let x_line = (n * params.groups * params.in_channels + x_channel) * in_volume + select(0u, u32((in_row * in_extent.y + in_line) * in_extent.z), line_inside);
    let dy_line = ((n * channels + channel) * lines + row % lines) * u32(out_extent.z);
    var in_column = origin.z;
    for (var p = 0u; p < u32(out_extent.z); p++) {
      let inside = line_inside && u32(in_column) < u32(in_extent.z);
      sum = fma(select(0.0, f32(x[x_line + select(0u, u32(in_column), inside)]), inside), f32(dy[dy_line + p]), sum);
      in_column += params.stride.z;
    }
  }
  d_weight[(chunk * channels + channel) * columns + column] = sum;
}
