// conv3d.tiled.wgsl for CPU adapters with subgroups of 8 or more (lavapipe): 16 output channels x 4 positions an invocation. Same formula,
// same packed weight, seen as scalars: [groups, blocks of 8, taps, in_channels, 8].
// Such an adapter loads lane by lane even where all lanes read one address. Hence lane l of a subgroup loads the weights of channels
// l and l + 8 of the tile once, and each value goes to all lanes by a broadcast in registers.
// A workgroup computes 16 output channels at 4·LANES positions, an invocation those at lane + LANES·j.
enable subgroups;

override LANES: u32 = 8;

#include "include/conv3d-params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<y_t>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"

fn store(channel_in_group: u32, g: u32, place: Place, used: vec4<bool>, sums: vec4f) {
  if (channel_in_group >= params.out_channels) {
    return;
  }
  let channel = g * params.out_channels + channel_in_group;
  let at = (place.item * params.groups * params.out_channels + channel) * out_volume() + place.out_position;
  for (var j = 0u; j < 4u; j++) {
    if (used[j]) {
      y[at[j]] = y_t(start_of(channel, at[j]) + sums[j]);
    }
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  let blocks = (params.out_channels + 7u) / 8u;
  let tiles = (blocks + 1u) / 2u;
  let g = workgroup % (params.groups * tiles) / tiles;
  let first_block = workgroup % tiles * 2u;
  let volume = u32(params.positions.x * params.positions.y * params.positions.z);
  let wanted = workgroup / (params.groups * tiles) * 4u * LANES + lane + vec4u(0u, 1u, 2u, 3u) * LANES;
  let used = wanted < vec4u(params.batch * volume);
  // Past the end the last position is computed again and not stored: no branches in the loop.
  let i = min(wanted, vec4u(params.batch * volume - 1u));
  let place = place_of(i, volume);
  let in_volume = u32(params.in_extent.x * params.in_extent.y * params.in_extent.z);
  let x_start = (place.item * params.groups + g) * params.in_channels * in_volume;
  // Where the tile has one block only, it is computed twice and stored once.
  let block_size = params.taps * params.in_channels * 8u;
  let weight_low = (g * blocks + first_block) * block_size + subgroup_lane % 8u;
  let weight_high = (g * blocks + min(first_block + 1u, blocks - 1u)) * block_size + subgroup_lane % 8u;
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
  for (var d = 0; d < params.tap_count.x; d++) {
    let in_d = place.first_d + d * params.in_step.x;
    let inside_d = vec4u(in_d) < vec4u(u32(params.in_extent.x)); // negative positions wrap to large ones
    for (var h = 0; h < params.tap_count.y; h++) {
      let in_h = place.first_h + h * params.in_step.y;
      let inside_dh = inside_d & (vec4u(in_h) < vec4u(u32(params.in_extent.y)));
      let line = (in_d * params.in_extent.y + in_h) * params.in_extent.z;
      for (var w = 0; w < params.tap_count.z; w++) {
        let in_w = place.first_w + w * params.in_step.z;
        let inside = inside_dh & (vec4u(in_w) < vec4u(u32(params.in_extent.z)));
        var at = x_start + select(vec4u(), vec4u(line + in_w), inside);
        let tap = params.tap_start + u32(d * params.tap_stride.x + h * params.tap_stride.y + w * params.tap_stride.z);
        var weight_at = tap * params.in_channels * 8u;
        for (var c = 0u; c < params.in_channels; c++) {
          let value = select(vec4f(), vec4f(f32(x[at.x]), f32(x[at.y]), f32(x[at.z]), f32(x[at.w])), inside);
          let low = weight[weight_low + weight_at];
          let high = weight[weight_high + weight_at];
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
          at += vec4u(in_volume);
          weight_at += 8u;
        }
      }
    }
  }
  let sums = array<vec4f, 16>(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15);
  for (var k = 0u; k < 16u; k++) {
    store(first_block * 8u + k, g, place, used, sums[k]);
  }
}
