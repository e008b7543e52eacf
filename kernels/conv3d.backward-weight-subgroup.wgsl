// conv3d.backward-weight.wgsl for CPU adapters with subgroups of 8 or more (lavapipe): 16 output channels x 4 columns an invocation. Same
// formula and bindings. Lane l of a subgroup loads dY of channels l and l + 8 of the tile once, and each value goes to all lanes by a
// broadcast in registers: such an adapter loads lane by lane even where all lanes read one address.
enable subgroups;

override LANES: u32 = 8;

#include "include/conv3d-weight-params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> dy: array<dy_t>;
@group(0) @binding(2) var<storage, read_write> d_weight: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  let in_extent = params.in_extent.xyz;
  let out_extent = params.out_extent.xyz;
  let taps = u32(params.kernel.x * params.kernel.y * params.kernel.z);
  let columns = params.in_channels * taps;
  let blocks = (params.out_channels + 15u) / 16u;
  let channel_block = workgroup % (params.groups * blocks);
  let g = channel_block / blocks;
  let first_channel = channel_block % blocks * 16u;
  let column_chunks = (columns + 4u * LANES - 1u) / (4u * LANES);
  let wanted = workgroup / (params.groups * blocks) % column_chunks * 4u * LANES + lane + vec4u(0u, 1u, 2u, 3u) * LANES;
  let chunk = workgroup / (params.groups * blocks * column_chunks);
  if (chunk >= params.chunks) {
    return;
  }
  // Past the edges the last column or channel is computed again and not stored: no branches in the loop.
  let column = min(wanted, vec4u(columns - 1u));
  let last_channel = params.out_channels - 1u;
  let tap = vec4i(column % taps);
  let first_d = tap / (params.kernel.y * params.kernel.z) * params.dilation.x - params.padding.x;
  let first_h = tap / params.kernel.z % params.kernel.y * params.dilation.y - params.padding.y;
  let first_w = tap % params.kernel.z * params.dilation.z - params.padding.z;
  let in_volume = u32(in_extent.x * in_extent.y * in_extent.z);
  let lines = u32(out_extent.x * out_extent.y);
  let out_volume = lines * u32(out_extent.z);
  let x_channel = g * params.in_channels + column / taps;
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  var s4 = vec4f();
  var s5 = vec4f();
  var s6 = vec4f();
  var s7 = vec4f();
  var s8 = vec4f();
  var s9 = vec4f();
  var s10 = vec4f();
  var s11 = vec4f();
  var s12 = vec4f();
  var s13 = vec4f();
  var s14 = vec4f();
  var s15 = vec4f();
  let end_row = min(params.batch * lines, (chunk + 1u) * params.rows_per_chunk);
  for (var row = chunk * params.rows_per_chunk; row < end_row; row++) {
    let n = row / lines;
    let in_d = first_d + i32(row % lines) / out_extent.y * params.stride.x;
    let in_h = first_h + i32(row % lines) % out_extent.y * params.stride.y;
    let line_inside = (vec4u(in_d) < vec4u(u32(in_extent.x))) & (vec4u(in_h) < vec4u(u32(in_extent.y)));
    let x_line = (n * params.groups * params.in_channels + x_channel) * in_volume + select(vec4u(), vec4u((in_d * in_extent.y + in_h) * in_extent.z), line_inside);
    let dy_line = (n * params.groups + g) * params.out_channels * out_volume + row % lines * u32(out_extent.z);
    var at_low = dy_line + min(first_channel + subgroup_lane % 8u, last_channel) * out_volume;
    var at_high = dy_line + min(first_channel + 8u + subgroup_lane % 8u, last_channel) * out_volume;
    var in_w = first_w;
    for (var p = 0; p < out_extent.z; p++) {
      let inside = line_inside & (vec4u(in_w) < vec4u(u32(in_extent.z)));
      let at = x_line + select(vec4u(), vec4u(in_w), inside);
      let value = select(vec4f(), vec4f(f32(x[at.x]), f32(x[at.y]), f32(x[at.z]), f32(x[at.w])), inside);
      let low = f32(dy[at_low]);
      let high = f32(dy[at_high]);
      s0 += subgroupBroadcast(low, 0u) * value;
      s1 += subgroupBroadcast(low, 1u) * value;
      s2 += subgroupBroadcast(low, 2u) * value;
      s3 += subgroupBroadcast(low, 3u) * value;
      s4 += subgroupBroadcast(low, 4u) * value;
      s5 += subgroupBroadcast(low, 5u) * value;
      s6 += subgroupBroadcast(low, 6u) * value;
      s7 += subgroupBroadcast(low, 7u) * value;
      s8 += subgroupBroadcast(high, 0u) * value;
      s9 += subgroupBroadcast(high, 1u) * value;
      s10 += subgroupBroadcast(high, 2u) * value;
      s11 += subgroupBroadcast(high, 3u) * value;
      s12 += subgroupBroadcast(high, 4u) * value;
      s13 += subgroupBroadcast(high, 5u) * value;
      s14 += subgroupBroadcast(high, 6u) * value;
      s15 += subgroupBroadcast(high, 7u) * value;
      at_low++;
      at_high++;
      in_w += vec4i(params.stride.z);
    }
  }
  let sums = array<vec4f, 16>(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15);
  for (var k = 0u; k < 16u; k++) {
    let o = first_channel + k;
    for (var j = 0u; j < 4u; j++) {
      if (o < params.out_channels && wanted[j] < columns) {
        d_weight[((chunk * params.groups + g) * params.out_channels + o) * columns + wanted[j]] = sums[k][j];
      }
    }
  }
}
