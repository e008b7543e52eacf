// The gather convolution of conv3d.tiled, one output channel x 4 positions an invocation: for groups with fewer than 4 output
// channels (depthwise convolution, the gradient of a one-channel input), where a tile over channels would compute padding.
//   y[n, g, o, m·out_step + out_offset] = bias[g, o] + Σ_{t, c} weight[g, o, c, tap_start + t·tap_stride] · x[n, g, c, m·in_stride + in_base + t·in_step]
// x: [batch, groups, in_channels, in_volume]. weight: [groups, in_channels·out_channels, taps] with the two strides of the params.
// bias: [groups, out_channels]. y: [batch, groups, out_channels, out_extent].
// A workgroup computes one output channel at 4·LANES positions, an invocation those at lane + LANES·j: the weights are the same for
// the whole workgroup.
override LANES: u32 = 32;

#include "include/conv3d-params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<y_t>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  let volume = u32(params.positions.x * params.positions.y * params.positions.z);
  let channels = params.groups * params.out_channels;
  let chunks = (params.batch * volume + 4u * LANES - 1u) / (4u * LANES);
  let channel = workgroup / chunks;
  if (channel >= channels) {
    return;
  }
  let g = channel / params.out_channels;
  let wanted = workgroup % chunks * 4u * LANES + lane + vec4u(0u, 1u, 2u, 3u) * LANES;
  // Past the end the last position is computed again and not stored: no branches in the loop.
  let i = min(wanted, vec4u(params.batch * volume - 1u));
  let place = place_of(i, volume);
  let in_volume = u32(params.in_extent.x * params.in_extent.y * params.in_extent.z);
  let x_start = (place.item * params.groups + g) * params.in_channels * in_volume;
  let weight_start = g * params.in_channels * params.out_channels * params.taps + channel % params.out_channels * params.weight_out_stride + params.tap_start;
  var sum = vec4f();
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
        var weight_at = weight_start + u32(d * params.tap_stride.x + h * params.tap_stride.y + w * params.tap_stride.z);
        for (var c = 0u; c < params.in_channels; c++) {
          let value = select(vec4f(), vec4f(f32(x[at.x]), f32(x[at.y]), f32(x[at.z]), f32(x[at.w])), inside);
          sum = fma(vec4f(weight[weight_at]), value, sum);
          at += vec4u(in_volume);
          weight_at += params.weight_in_stride;
        }
      }
    }
  }
  let y_at = (place.item * channels + channel) * out_volume() + place.out_position;
  for (var j = 0u; j < 4u; j++) {
    if (wanted[j] < params.batch * volume) {
      y[y_at[j]] = y_t(start_of(channel, y_at[j]) + sum[j]);
    }
  }
}
