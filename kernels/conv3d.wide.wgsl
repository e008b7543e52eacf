// A gather convolution over [batch, channels, D, Y, X], a register tile of 8 output channels x 8 positions an invocation: the forward
// pass of conv3d and, with the roles of input and output exchanged, the gradient of its input.
//   y[n, g, o, m·out_step + out_offset] = bias[g, o] + Σ_{t, c} weight[g, o, c, tap_start + t·tap_stride] · x[n, g, c, m·in_stride + in_base + t·in_step]
// with m over `positions` and t over `tap_count`; x counts as zero outside `in_extent` (zero padding).
// x: [batch, groups, in_channels, in_volume]. weight: packed [groups, blocks, taps, in_channels, 8] as pairs of vec4 (see
// conv3d.pack-weight). bias: [groups, out_channels]. y: [batch, groups, out_channels, out_extent].
// As conv3d.tiled, but a workgroup computes 8·LANES positions, an invocation those at lane + LANES·j, in two halves: each loaded
// weight serves 8 positions. For adapters on which every load is dear (SwiftShader: bounds are checked lane by lane).
override LANES: u32 = 8;

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
  let wanted = workgroup / (params.groups * blocks) * 8u * LANES + lane + vec4u(0u, 1u, 2u, 3u) * LANES;
  let last = vec4u(params.batch * volume - 1u);
  // Past the end the last position is computed again and not stored: no branches in the loop.
  let place_a = place_of(min(wanted, last), volume);
  let place_b = place_of(min(wanted + 4u * LANES, last), volume);
  let in_volume = u32(params.in_extent.x * params.in_extent.y * params.in_extent.z);
  let start_a = (place_a.item * params.groups + g) * params.in_channels * in_volume;
  let start_b = (place_b.item * params.groups + g) * params.in_channels * in_volume;
  let weight_start = channel_block * params.taps * params.in_channels * 2u;
  var a0 = vec4f();
  var a1 = vec4f();
  var a2 = vec4f();
  var a3 = vec4f();
  var a4 = vec4f();
  var a5 = vec4f();
  var a6 = vec4f();
  var a7 = vec4f();
  var b0 = vec4f();
  var b1 = vec4f();
  var b2 = vec4f();
  var b3 = vec4f();
  var b4 = vec4f();
  var b5 = vec4f();
  var b6 = vec4f();
  var b7 = vec4f();
  for (var d = 0; d < params.tap_count.x; d++) {
    let in_d_a = place_a.first_d + d * params.in_step.x;
    let in_d_b = place_b.first_d + d * params.in_step.x;
    let inside_d_a = vec4u(in_d_a) < vec4u(u32(params.in_extent.x)); // negative positions wrap to large ones
    let inside_d_b = vec4u(in_d_b) < vec4u(u32(params.in_extent.x));
    for (var h = 0; h < params.tap_count.y; h++) {
      let in_h_a = place_a.first_h + h * params.in_step.y;
      let in_h_b = place_b.first_h + h * params.in_step.y;
      let inside_dh_a = inside_d_a & (vec4u(in_h_a) < vec4u(u32(params.in_extent.y)));
      let inside_dh_b = inside_d_b & (vec4u(in_h_b) < vec4u(u32(params.in_extent.y)));
      let line_a = (in_d_a * params.in_extent.y + in_h_a) * params.in_extent.z;
      let line_b = (in_d_b * params.in_extent.y + in_h_b) * params.in_extent.z;
      for (var w = 0; w < params.tap_count.z; w++) {
        let in_w_a = place_a.first_w + w * params.in_step.z;
        let in_w_b = place_b.first_w + w * params.in_step.z;
        let inside_a = inside_dh_a & (vec4u(in_w_a) < vec4u(u32(params.in_extent.z)));
        let inside_b = inside_dh_b & (vec4u(in_w_b) < vec4u(u32(params.in_extent.z)));
        var at_a = start_a + select(vec4u(), vec4u(line_a + in_w_a), inside_a);
        var at_b = start_b + select(vec4u(), vec4u(line_b + in_w_b), inside_b);
        let tap = params.tap_start + u32(d * params.tap_stride.x + h * params.tap_stride.y + w * params.tap_stride.z);
        var weight_at = weight_start + tap * params.in_channels * 2u;
        for (var c = 0u; c < params.in_channels; c++) {
          let value_a = select(vec4f(), vec4f(f32(x[at_a.x]), f32(x[at_a.y]), f32(x[at_a.z]), f32(x[at_a.w])), inside_a);
          let value_b = select(vec4f(), vec4f(f32(x[at_b.x]), f32(x[at_b.y]), f32(x[at_b.z]), f32(x[at_b.w])), inside_b);
          let low = weight[weight_at];
          let high = weight[weight_at + 1u];
          a0 = fma(vec4f(low.x), value_a, a0);
          b0 = fma(vec4f(low.x), value_b, b0);
          a1 = fma(vec4f(low.y), value_a, a1);
          b1 = fma(vec4f(low.y), value_b, b1);
          a2 = fma(vec4f(low.z), value_a, a2);
          b2 = fma(vec4f(low.z), value_b, b2);
          a3 = fma(vec4f(low.w), value_a, a3);
          b3 = fma(vec4f(low.w), value_b, b3);
          a4 = fma(vec4f(high.x), value_a, a4);
          b4 = fma(vec4f(high.x), value_b, b4);
          a5 = fma(vec4f(high.y), value_a, a5);
          b5 = fma(vec4f(high.y), value_b, b5);
          a6 = fma(vec4f(high.z), value_a, a6);
          b6 = fma(vec4f(high.z), value_b, b6);
          a7 = fma(vec4f(high.w), value_a, a7);
          b7 = fma(vec4f(high.w), value_b, b7);
          at_a += vec4u(in_volume);
          at_b += vec4u(in_volume);
          weight_at += 2u;
        }
      }
    }
  }
  let used_a = wanted < vec4u(params.batch * volume);
  let used_b = wanted + 4u * LANES < vec4u(params.batch * volume);
  let sums_a = array<vec4f, 8>(a0, a1, a2, a3, a4, a5, a6, a7);
  let sums_b = array<vec4f, 8>(b0, b1, b2, b3, b4, b5, b6, b7);
  for (var k = 0u; k < 8u; k++) {
    store(channel_block % blocks * 8u + k, g, place_a, used_a, sums_a[k]);
    store(channel_block % blocks * 8u + k, g, place_b, used_b, sums_b[k]);
  }
}
