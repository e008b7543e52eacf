// A gather convolution over [batch, channels, D, Y, X], a register tile of 8 output channels x 4 positions an invocation: the forward
// pass of conv3d and, with the roles of input and output exchanged, the gradient of its input.
//   y[n, g, o, m·out_step + out_offset] = bias[g, o] + Σ_{t, c} weight[g, o, c, tap_start + t·tap_stride] · x[n, g, c, m·in_stride + in_base + t·in_step]
// with m over `positions` and t over `tap_count`; x counts as zero outside `in_extent` (zero padding).
// x: [batch, groups, in_channels, in_volume]. weight: packed [groups, blocks, taps, in_channels, 8] as pairs of vec4 (see
// conv3d.pack-weight). bias: [groups, out_channels]. y: [batch, groups, out_channels, out_extent].
// A workgroup computes one block of 8 output channels at 4·LANES positions, an invocation those at lane + LANES·j: each loaded x
// serves 8 channels, each weight 4 positions, and the weights are the same for the whole workgroup. Blocks vary fastest, so that
// x stays cached.
override LANES: u32 = 32;

#include "include/conv3d-params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
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
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  let blocks = (params.out_channels + 7u) / 8u;
  let channel_block = workgroup % (params.groups * blocks);
  let g = channel_block / blocks;
  let volume = u32(params.positions.x * params.positions.y * params.positions.z);
  let wanted = workgroup / (params.groups * blocks) * 4u * LANES + lane + vec4u(0u, 1u, 2u, 3u) * LANES;
  let used = wanted < vec4u(params.batch * volume);
  // Past the end the last position is computed again and not stored: no branches in the loop.
  let i = min(wanted, vec4u(params.batch * volume - 1u));
  let place = place_of(i, volume);
  let in_volume = u32(params.in_extent.x * params.in_extent.y * params.in_extent.z);
  let x_start = (place.item * params.groups + g) * params.in_channels * in_volume;
  let weight_start = channel_block * params.taps * params.in_channels * 2u;
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  var s4 = vec4f();
  var s5 = vec4f();
  var s6 = vec4f();
  var s7 = vec4f();
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
        var weight_at = weight_start + tap * params.in_channels * 2u;
        for (var c = 0u; c < params.in_channels; c++) {
          let value = select(vec4f(), vec4f(f32(x[at.x]), f32(x[at.y]), f32(x[at.z]), f32(x[at.w])), inside);
          let low = weight[weight_at];
          s0 = fma(vec4f(low.x), value, s0);
          s1 = fma(vec4f(low.y), value, s1);
          s2 = fma(vec4f(low.z), value, s2);
          s3 = fma(vec4f(low.w), value, s3);
          let high = weight[weight_at + 1u];
          s4 = fma(vec4f(high.x), value, s4);
          s5 = fma(vec4f(high.y), value, s5);
          s6 = fma(vec4f(high.z), value, s6);
          s7 = fma(vec4f(high.w), value, s7);
          at += vec4u(in_volume);
          weight_at += 2u;
        }
      }
    }
  }
  let sums = array<vec4f, 8>(s0, s1, s2, s3, s4, s5, s6, s7);
  for (var k = 0u; k < 8u; k++) {
    store(channel_block % blocks * 8u + k, g, place, used, sums[k]);
  }
}
