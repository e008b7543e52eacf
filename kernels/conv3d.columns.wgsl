// The inputs that a convolution reads, as a matrix, so that it is a matrix product (im2col): for the positions m from `first` on of
// one item of the batch,
//   y[k, m] = x[item, c, m·in_stride + in_base + t·in_step]  with k = c·taps + t,
// zero outside `in_extent` (zero padding). The element (k, m) is stored at k·k_stride + (m − first)·m_stride. Positions past
// `count`, up to `padded_count`, are zero; of the rows from in_channels·taps to `padded_rows` the first holds ones, against which
// the product has the bias, the others zeros.
// x: [batch, in_channels, in_volume]. y: padded_rows × padded_count.
// An invocation makes the rows of one channel at 4 positions, m + j·(padded_count/4): neighbours write neighbouring positions.
override WORKGROUP_SIZE: u32 = 32;

struct Params {
  in_extent: vec4i,
  in_stride: vec4i,
  in_base: vec4i,
  in_step: vec4i,
  positions: vec4i,
  tap_count: vec4i,
  item: u32,
  in_channels: u32,
  first: u32,
  count: u32,
  padded_count: u32, // a multiple of 4
  padded_rows: u32,
  k_stride: u32,
  m_stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

fn store(k: u32, column: vec4u, values: vec4f) {
  let at = k * params.k_stride + column * params.m_stride;
  y[at.x] = values.x;
  y[at.y] = values.y;
  y[at.z] = values.z;
  y[at.w] = values.w;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let quarter = params.padded_count / 4u;
  let index = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let channel = index / quarter;
  if (channel > params.in_channels) {
    return;
  }
  let column = index % quarter + vec4u(0u, 1u, 2u, 3u) * quarter;
  let taps = u32(params.tap_count.x * params.tap_count.y * params.tap_count.z);
  if (channel == params.in_channels) {
    let rows = params.in_channels * taps;
    for (var k = rows; k < params.padded_rows; k++) {
      store(k, column, vec4f(select(0.0, 1.0, k == rows)));
    }
    return;
  }
  let used = column < vec4u(params.count);
  let m = vec4i(params.first + min(column, vec4u(params.count - 1u)));
  let first_d = m / (params.positions.y * params.positions.z) * params.in_stride.x + params.in_base.x;
  let first_h = m / params.positions.z % params.positions.y * params.in_stride.y + params.in_base.y;
  let first_w = m % params.positions.z * params.in_stride.z + params.in_base.z;
  let extent = vec3u(params.in_extent.xyz);
  let start = (params.item * params.in_channels + channel) * extent.x * extent.y * extent.z;
  var k = channel * taps;
  for (var d = 0; d < params.tap_count.x; d++) {
    let in_d = first_d + d * params.in_step.x;
    let inside_d = used & (vec4u(in_d) < vec4u(extent.x)); // negative positions wrap to large ones
    for (var h = 0; h < params.tap_count.y; h++) {
      let in_h = first_h + h * params.in_step.y;
      let inside_dh = inside_d & (vec4u(in_h) < vec4u(extent.y));
      let line = (in_d * params.in_extent.y + in_h) * params.in_extent.z;
      for (var w = 0; w < params.tap_count.z; w++) {
        let in_w = first_w + w * params.in_step.z;
        let inside = inside_dh & (vec4u(in_w) < vec4u(extent.z));
        let at = start + select(vec4u(), vec4u(line + in_w), inside);
        store(k, column, select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), inside));
        k++;
      }
    }
  }
}
