// Gradient of conv3d with respect to its weight, for one chunk of output rows:
//   dWeight[g, o, c, tap] = Σ_{n, p} dY[n, g, o, p] · x[n, g, c, p·stride + tap·dilation − padding].
// x: [batch, groups, in_channels, in_extent]. dy: [batch, groups, out_channels, out_extent].
// d_weight: [chunks, groups·out_channels, in_channels·taps], partial sums that the host adds up.
// As conv3d.backward-weight, but a workgroup computes 8·LANES columns, an invocation those at lane + LANES·j, in two halves: each
// loaded dY serves 8 columns. For adapters on which every load is dear (SwiftShader: bounds are checked lane by lane).
override LANES: u32 = 8;

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
  let blocks = (params.out_channels + 7u) / 8u;
  let channel_block = workgroup % (params.groups * blocks);
  let g = channel_block / blocks;
  let first_channel = channel_block % blocks * 8u;
  let column_chunks = (columns + 8u * LANES - 1u) / (8u * LANES);
  let wanted = workgroup / (params.groups * blocks) % column_chunks * 8u * LANES + lane + vec4u(0u, 1u, 2u, 3u) * LANES;
  let chunk = workgroup / (params.groups * blocks * column_chunks);
  if (chunk >= params.chunks) {
    return;
  }
  // Past the edges the last column or channel is computed again and not stored: no branches in the loop.
  let column_a = min(wanted, vec4u(columns - 1u));
  let column_b = min(wanted + 4u * LANES, vec4u(columns - 1u));
  let last_channel = params.out_channels - 1u;
  let tap_a = vec4i(column_a % taps);
  let tap_b = vec4i(column_b % taps);
  let first_d_a = tap_a / (params.kernel.y * params.kernel.z) * params.dilation.x - params.padding.x;
  let first_d_b = tap_b / (params.kernel.y * params.kernel.z) * params.dilation.x - params.padding.x;
  let first_h_a = tap_a / params.kernel.z % params.kernel.y * params.dilation.y - params.padding.y;
  let first_h_b = tap_b / params.kernel.z % params.kernel.y * params.dilation.y - params.padding.y;
  let first_w_a = tap_a % params.kernel.z * params.dilation.z - params.padding.z;
  let first_w_b = tap_b % params.kernel.z * params.dilation.z - params.padding.z;
  let in_volume = u32(in_extent.x * in_extent.y * in_extent.z);
  let lines = u32(out_extent.x * out_extent.y);
  let out_volume = lines * u32(out_extent.z);
  let x_channel_a = g * params.in_channels + column_a / taps;
  let x_channel_b = g * params.in_channels + column_b / taps;
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
  let end_row = min(params.batch * lines, (chunk + 1u) * params.rows_per_chunk);
  for (var row = chunk * params.rows_per_chunk; row < end_row; row++) {
    let n = row / lines;
    let row_d = i32(row % lines) / out_extent.y * params.stride.x;
    let row_h = i32(row % lines) % out_extent.y * params.stride.y;
    let in_d_a = first_d_a + row_d;
    let in_d_b = first_d_b + row_d;
    let in_h_a = first_h_a + row_h;
    let in_h_b = first_h_b + row_h;
    let line_inside_a = (vec4u(in_d_a) < vec4u(u32(in_extent.x))) & (vec4u(in_h_a) < vec4u(u32(in_extent.y)));
    let line_inside_b = (vec4u(in_d_b) < vec4u(u32(in_extent.x))) & (vec4u(in_h_b) < vec4u(u32(in_extent.y)));
    let x_item = n * params.groups * params.in_channels;
    let x_line_a = (x_item + x_channel_a) * in_volume + select(vec4u(), vec4u((in_d_a * in_extent.y + in_h_a) * in_extent.z), line_inside_a);
    let x_line_b = (x_item + x_channel_b) * in_volume + select(vec4u(), vec4u((in_d_b * in_extent.y + in_h_b) * in_extent.z), line_inside_b);
    let dy_line = (n * params.groups + g) * params.out_channels * out_volume + row % lines * u32(out_extent.z);
    var at0 = dy_line + min(first_channel, last_channel) * out_volume;
    var at1 = dy_line + min(first_channel + 1u, last_channel) * out_volume;
    var at2 = dy_line + min(first_channel + 2u, last_channel) * out_volume;
    var at3 = dy_line + min(first_channel + 3u, last_channel) * out_volume;
    var at4 = dy_line + min(first_channel + 4u, last_channel) * out_volume;
    var at5 = dy_line + min(first_channel + 5u, last_channel) * out_volume;
    var at6 = dy_line + min(first_channel + 6u, last_channel) * out_volume;
    var at7 = dy_line + min(first_channel + 7u, last_channel) * out_volume;
    var in_w_a = first_w_a;
    var in_w_b = first_w_b;
    for (var p = 0; p < out_extent.z; p++) {
      let inside_a = line_inside_a & (vec4u(in_w_a) < vec4u(u32(in_extent.z)));
      let inside_b = line_inside_b & (vec4u(in_w_b) < vec4u(u32(in_extent.z)));
      let at_a = x_line_a + select(vec4u(), vec4u(in_w_a), inside_a);
      let at_b = x_line_b + select(vec4u(), vec4u(in_w_b), inside_b);
      let value_a = select(vec4f(), vec4f(f32(x[at_a.x]), f32(x[at_a.y]), f32(x[at_a.z]), f32(x[at_a.w])), inside_a);
      let value_b = select(vec4f(), vec4f(f32(x[at_b.x]), f32(x[at_b.y]), f32(x[at_b.z]), f32(x[at_b.w])), inside_b);
      let dy0 = vec4f(f32(dy[at0]));
      a0 = fma(dy0, value_a, a0);
      b0 = fma(dy0, value_b, b0);
      let dy1 = vec4f(f32(dy[at1]));
      a1 = fma(dy1, value_a, a1);
      b1 = fma(dy1, value_b, b1);
      let dy2 = vec4f(f32(dy[at2]));
      a2 = fma(dy2, value_a, a2);
      b2 = fma(dy2, value_b, b2);
      let dy3 = vec4f(f32(dy[at3]));
      a3 = fma(dy3, value_a, a3);
      b3 = fma(dy3, value_b, b3);
      let dy4 = vec4f(f32(dy[at4]));
      a4 = fma(dy4, value_a, a4);
      b4 = fma(dy4, value_b, b4);
      let dy5 = vec4f(f32(dy[at5]));
      a5 = fma(dy5, value_a, a5);
      b5 = fma(dy5, value_b, b5);
      let dy6 = vec4f(f32(dy[at6]));
      a6 = fma(dy6, value_a, a6);
      b6 = fma(dy6, value_b, b6);
      let dy7 = vec4f(f32(dy[at7]));
      a7 = fma(dy7, value_a, a7);
      b7 = fma(dy7, value_b, b7);
      at0++;
      at1++;
      at2++;
      at3++;
      at4++;
      at5++;
      at6++;
      at7++;
      in_w_a += vec4i(params.stride.z);
      in_w_b += vec4i(params.stride.z);
    }
  }
  let sums_a = array<vec4f, 8>(a0, a1, a2, a3, a4, a5, a6, a7);
  let sums_b = array<vec4f, 8>(b0, b1, b2, b3, b4, b5, b6, b7);
  for (var k = 0u; k < 8u; k++) {
    let o = first_channel + k;
    let at = ((chunk * params.groups + g) * params.out_channels + o) * columns;
    for (var j = 0u; j < 4u; j++) {
      if (o < params.out_channels && wanted[j] < columns) {
        d_weight[at + wanted[j]] = sums_a[k][j];
      }
      if (o < params.out_channels && wanted[j] + 4u * LANES < columns) {
        d_weight[at + wanted[j] + 4u * LANES] = sums_b[k][j];
      }
    }
  }
}
