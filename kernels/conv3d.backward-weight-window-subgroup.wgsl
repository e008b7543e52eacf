// conv3d.backward-weight-subgroup.wgsl for kernels of three neighbouring taps along X (stride 1): 16 output channels x one row of 3 columns
// an invocation, a row being an input channel and taps along D and Y. At 4 output positions in turn it loads the 6 inputs that
// its taps read once instead of 12 times. Same formula and bindings.
enable subgroups;

override LANES: u32 = 8;

#include "include/conv3d-weight-params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> dy: array<dy_t>;
@group(0) @binding(2) var<storage, read_write> d_weight: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

// Adds dY · value for 16 output channels, whose dY lanes 0 to 7 hold.
fn add_products(sums: ptr<function, array<vec3f, 16>>, low: f32, high: f32, value: vec3f) {
  (*sums)[0] += subgroupBroadcast(low, 0u) * value;
  (*sums)[1] += subgroupBroadcast(low, 1u) * value;
  (*sums)[2] += subgroupBroadcast(low, 2u) * value;
  (*sums)[3] += subgroupBroadcast(low, 3u) * value;
  (*sums)[4] += subgroupBroadcast(low, 4u) * value;
  (*sums)[5] += subgroupBroadcast(low, 5u) * value;
  (*sums)[6] += subgroupBroadcast(low, 6u) * value;
  (*sums)[7] += subgroupBroadcast(low, 7u) * value;
  (*sums)[8] += subgroupBroadcast(high, 0u) * value;
  (*sums)[9] += subgroupBroadcast(high, 1u) * value;
  (*sums)[10] += subgroupBroadcast(high, 2u) * value;
  (*sums)[11] += subgroupBroadcast(high, 3u) * value;
  (*sums)[12] += subgroupBroadcast(high, 4u) * value;
  (*sums)[13] += subgroupBroadcast(high, 5u) * value;
  (*sums)[14] += subgroupBroadcast(high, 6u) * value;
  (*sums)[15] += subgroupBroadcast(high, 7u) * value;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  let taps_dh = u32(params.kernel.x * params.kernel.y);
  let rows = params.in_channels * taps_dh;
  let tiles = (params.out_channels + 15u) / 16u;
  let g = workgroup % (params.groups * tiles) / tiles;
  let first_channel = workgroup % tiles * 16u;
  let row_chunks = (rows + LANES - 1u) / LANES;
  let wanted = workgroup / (params.groups * tiles) % row_chunks * LANES + lane;
  let chunk = workgroup / (params.groups * tiles * row_chunks);
  if (chunk >= params.chunks) {
    return;
  }
  // Past the edges the last row or channel is computed again and not stored: no branches in the loop.
  let r = min(wanted, rows - 1u);
  let tap = i32(r % taps_dh);
  let extent = vec3u(params.in_extent.xyz);
  let first_d = tap / params.kernel.y * params.dilation.x - params.padding.x;
  let first_h = tap % params.kernel.y * params.dilation.y - params.padding.y;
  let in_volume = extent.x * extent.y * extent.z;
  let width = u32(params.out_extent.z);
  let lines = u32(params.out_extent.x * params.out_extent.y);
  let out_volume = lines * width;
  let last_channel = params.out_channels - 1u;
  let low_channel = min(first_channel + subgroup_lane % 8u, last_channel);
  let high_channel = min(first_channel + 8u + subgroup_lane % 8u, last_channel);
  var sums: array<vec3f, 16>;
  let end = min(params.batch * lines, (chunk + 1u) * params.rows_per_chunk);
  for (var line = chunk * params.rows_per_chunk; line < end; line++) {
    let n = line / lines;
    let in_d = u32(first_d + i32(line % lines) / params.out_extent.y * params.stride.x); // negative positions wrap to large ones
    let in_h = u32(first_h + i32(line % lines) % params.out_extent.y * params.stride.y);
    let inside_dh = in_d < extent.x && in_h < extent.y;
    let x_line = ((n * params.groups + g) * params.in_channels + r / taps_dh) * in_volume + select(0u, (in_d * extent.y + in_h) * extent.z, inside_dh);
    let dy_line = (n * params.groups + g) * params.out_channels * out_volume + line % lines * width;
    let at_low = dy_line + low_channel * out_volume;
    let at_high = dy_line + high_channel * out_volume;
    for (var p = 0u; p < width; p += 4u) {
      let in_a = vec4u(p - u32(params.padding.z)) + vec4u(0u, 1u, 2u, 3u);
      let in_b = vec2u(p - u32(params.padding.z)) + vec2u(4u, 5u);
      let inside_a = in_a < vec4u(extent.z);
      let inside_b = in_b < vec2u(extent.z);
      let at_a = x_line + select(vec4u(), in_a, inside_a);
      let at_b = x_line + select(vec2u(), in_b, inside_b);
      let a = select(vec4f(), vec4f(f32(x[at_a.x]), f32(x[at_a.y]), f32(x[at_a.z]), f32(x[at_a.w])), inside_a & vec4<bool>(inside_dh));
      let b = select(vec2f(), vec2f(f32(x[at_b.x]), f32(x[at_b.y])), inside_b & vec2<bool>(inside_dh));
      let q = p + vec4u(0u, 1u, 2u, 3u);
      let used = q < vec4u(width);
      let to = min(q, vec4u(width - 1u));
      let low = select(vec4f(), vec4f(f32(dy[at_low + to.x]), f32(dy[at_low + to.y]), f32(dy[at_low + to.z]), f32(dy[at_low + to.w])), used);
      let high = select(vec4f(), vec4f(f32(dy[at_high + to.x]), f32(dy[at_high + to.y]), f32(dy[at_high + to.z]), f32(dy[at_high + to.w])), used);
      add_products(&sums, low.x, high.x, a.xyz);
      add_products(&sums, low.y, high.y, a.yzw);
      add_products(&sums, low.z, high.z, vec3f(a.zw, b.x));
      add_products(&sums, low.w, high.w, vec3f(a.w, b));
    }
  }
  if (wanted >= rows) {
    return;
  }
  for (var k = 0u; k < 16u; k++) {
    let o = first_channel + k;
    if (o < params.out_channels) {
      let at = (((chunk * params.groups + g) * params.out_channels + o) * rows + wanted) * 3u;
      d_weight[at] = sums[k].x;
      d_weight[at + 1u] = sums[k].y;
      d_weight[at + 2u] = sums[k].z;
    }
  }
}
