// conv3d.backward-weight-wide.wgsl for kernels of three neighbouring taps along X (stride 1): 8 output channels x two rows of 3 columns an
// invocation, a row being an input channel and taps along D and Y. At 4 output positions in turn it loads the 6 inputs that a row's
// taps read once instead of 12 times. Same formula and bindings. Sums are variables of their own, as in conv3d.window.
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
  let taps_dh = u32(params.kernel.x * params.kernel.y);
  let rows = params.in_channels * taps_dh;
  let tiles = (params.out_channels + 7u) / 8u;
  let g = workgroup % (params.groups * tiles) / tiles;
  let first_channel = workgroup % tiles * 8u;
  let row_chunks = (rows + 2u * LANES - 1u) / (2u * LANES);
  let wanted = workgroup / (params.groups * tiles) % row_chunks * 2u * LANES + lane;
  let chunk = workgroup / (params.groups * tiles * row_chunks);
  if (chunk >= params.chunks) {
    return;
  }
  // Past the edges the last row or channel is computed again and not stored: no branches in the loop.
  let extent = vec3u(params.in_extent.xyz);
  let r_a = min(wanted, rows - 1u);
  let tap_a = i32(r_a % taps_dh);
  let first_d_a = tap_a / params.kernel.y * params.dilation.x - params.padding.x;
  let first_h_a = tap_a % params.kernel.y * params.dilation.y - params.padding.y;
  let r_b = min(wanted + LANES, rows - 1u);
  let tap_b = i32(r_b % taps_dh);
  let first_d_b = tap_b / params.kernel.y * params.dilation.x - params.padding.x;
  let first_h_b = tap_b % params.kernel.y * params.dilation.y - params.padding.y;
  let in_volume = extent.x * extent.y * extent.z;
  let width = u32(params.out_extent.z);
  let lines = u32(params.out_extent.x * params.out_extent.y);
  let out_volume = lines * width;
  let last_channel = params.out_channels - 1u;
  var a0 = vec3f();
  var a1 = vec3f();
  var a2 = vec3f();
  var a3 = vec3f();
  var a4 = vec3f();
  var a5 = vec3f();
  var a6 = vec3f();
  var a7 = vec3f();
  var b0 = vec3f();
  var b1 = vec3f();
  var b2 = vec3f();
  var b3 = vec3f();
  var b4 = vec3f();
  var b5 = vec3f();
  var b6 = vec3f();
  var b7 = vec3f();
  let end = min(params.batch * lines, (chunk + 1u) * params.rows_per_chunk);
  for (var line = chunk * params.rows_per_chunk; line < end; line++) {
    let n = line / lines;
    let row_d = i32(line % lines) / params.out_extent.y * params.stride.x;
    let row_h = i32(line % lines) % params.out_extent.y * params.stride.y;
    let item = n * params.groups + g;
    // Negative positions wrap to large ones.
    let in_d_a = u32(first_d_a + row_d);
    let in_h_a = u32(first_h_a + row_h);
    let inside_a = in_d_a < extent.x && in_h_a < extent.y;
    let line_a = (item * params.in_channels + r_a / taps_dh) * in_volume + select(0u, (in_d_a * extent.y + in_h_a) * extent.z, inside_a);
    let in_d_b = u32(first_d_b + row_d);
    let in_h_b = u32(first_h_b + row_h);
    let inside_b = in_d_b < extent.x && in_h_b < extent.y;
    let line_b = (item * params.in_channels + r_b / taps_dh) * in_volume + select(0u, (in_d_b * extent.y + in_h_b) * extent.z, inside_b);
    let dy_line = item * params.out_channels * out_volume + line % lines * width;
    let at0 = dy_line + min(first_channel, last_channel) * out_volume;
    let at1 = dy_line + min(first_channel + 1u, last_channel) * out_volume;
    let at2 = dy_line + min(first_channel + 2u, last_channel) * out_volume;
    let at3 = dy_line + min(first_channel + 3u, last_channel) * out_volume;
    let at4 = dy_line + min(first_channel + 4u, last_channel) * out_volume;
    let at5 = dy_line + min(first_channel + 5u, last_channel) * out_volume;
    let at6 = dy_line + min(first_channel + 6u, last_channel) * out_volume;
    let at7 = dy_line + min(first_channel + 7u, last_channel) * out_volume;
    for (var p = 0u; p < width; p += 4u) {
      let in_a = vec4u(p - u32(params.padding.z)) + vec4u(0u, 1u, 2u, 3u);
      let in_b = vec2u(p - u32(params.padding.z)) + vec2u(4u, 5u);
      let in_row_a = in_a < vec4u(extent.z);
      let in_row_b = in_b < vec2u(extent.z);
      let off_a = select(vec4u(), in_a, in_row_a);
      let off_b = select(vec2u(), in_b, in_row_b);
      let q = p + vec4u(0u, 1u, 2u, 3u);
      let used = q < vec4u(width);
      let to = min(q, vec4u(width - 1u));
      let at_a = line_a + off_a;
      let to_a = line_a + off_b;
      let x_a = select(vec4f(), vec4f(f32(x[at_a.x]), f32(x[at_a.y]), f32(x[at_a.z]), f32(x[at_a.w])), in_row_a & vec4<bool>(inside_a));
      let z_a = select(vec2f(), vec2f(f32(x[to_a.x]), f32(x[to_a.y])), in_row_b & vec2<bool>(inside_a));
      let v0_a = x_a.xyz;
      let v1_a = x_a.yzw;
      let v2_a = vec3f(x_a.zw, z_a.x);
      let v3_a = vec3f(x_a.w, z_a);
      let at_b = line_b + off_a;
      let to_b = line_b + off_b;
      let x_b = select(vec4f(), vec4f(f32(x[at_b.x]), f32(x[at_b.y]), f32(x[at_b.z]), f32(x[at_b.w])), in_row_a & vec4<bool>(inside_b));
      let z_b = select(vec2f(), vec2f(f32(x[to_b.x]), f32(x[to_b.y])), in_row_b & vec2<bool>(inside_b));
      let v0_b = x_b.xyz;
      let v1_b = x_b.yzw;
      let v2_b = vec3f(x_b.zw, z_b.x);
      let v3_b = vec3f(x_b.w, z_b);
      let d0 = select(vec4f(), vec4f(f32(dy[at0 + to.x]), f32(dy[at0 + to.y]), f32(dy[at0 + to.z]), f32(dy[at0 + to.w])), used);
      a0 = fma(vec3f(d0.x), v0_a, a0);
      a0 = fma(vec3f(d0.y), v1_a, a0);
      a0 = fma(vec3f(d0.z), v2_a, a0);
      a0 = fma(vec3f(d0.w), v3_a, a0);
      b0 = fma(vec3f(d0.x), v0_b, b0);
      b0 = fma(vec3f(d0.y), v1_b, b0);
      b0 = fma(vec3f(d0.z), v2_b, b0);
      b0 = fma(vec3f(d0.w), v3_b, b0);
      let d1 = select(vec4f(), vec4f(f32(dy[at1 + to.x]), f32(dy[at1 + to.y]), f32(dy[at1 + to.z]), f32(dy[at1 + to.w])), used);
      a1 = fma(vec3f(d1.x), v0_a, a1);
      a1 = fma(vec3f(d1.y), v1_a, a1);
      a1 = fma(vec3f(d1.z), v2_a, a1);
      a1 = fma(vec3f(d1.w), v3_a, a1);
      b1 = fma(vec3f(d1.x), v0_b, b1);
      b1 = fma(vec3f(d1.y), v1_b, b1);
      b1 = fma(vec3f(d1.z), v2_b, b1);
      b1 = fma(vec3f(d1.w), v3_b, b1);
      let d2 = select(vec4f(), vec4f(f32(dy[at2 + to.x]), f32(dy[at2 + to.y]), f32(dy[at2 + to.z]), f32(dy[at2 + to.w])), used);
      a2 = fma(vec3f(d2.x), v0_a, a2);
      a2 = fma(vec3f(d2.y), v1_a, a2);
      a2 = fma(vec3f(d2.z), v2_a, a2);
      a2 = fma(vec3f(d2.w), v3_a, a2);
      b2 = fma(vec3f(d2.x), v0_b, b2);
      b2 = fma(vec3f(d2.y), v1_b, b2);
      b2 = fma(vec3f(d2.z), v2_b, b2);
      b2 = fma(vec3f(d2.w), v3_b, b2);
      let d3 = select(vec4f(), vec4f(f32(dy[at3 + to.x]), f32(dy[at3 + to.y]), f32(dy[at3 + to.z]), f32(dy[at3 + to.w])), used);
      a3 = fma(vec3f(d3.x), v0_a, a3);
      a3 = fma(vec3f(d3.y), v1_a, a3);
      a3 = fma(vec3f(d3.z), v2_a, a3);
      a3 = fma(vec3f(d3.w), v3_a, a3);
      b3 = fma(vec3f(d3.x), v0_b, b3);
      b3 = fma(vec3f(d3.y), v1_b, b3);
      b3 = fma(vec3f(d3.z), v2_b, b3);
      b3 = fma(vec3f(d3.w), v3_b, b3);
      let d4 = select(vec4f(), vec4f(f32(dy[at4 + to.x]), f32(dy[at4 + to.y]), f32(dy[at4 + to.z]), f32(dy[at4 + to.w])), used);
      a4 = fma(vec3f(d4.x), v0_a, a4);
      a4 = fma(vec3f(d4.y), v1_a, a4);
      a4 = fma(vec3f(d4.z), v2_a, a4);
      a4 = fma(vec3f(d4.w), v3_a, a4);
      b4 = fma(vec3f(d4.x), v0_b, b4);
      b4 = fma(vec3f(d4.y), v1_b, b4);
      b4 = fma(vec3f(d4.z), v2_b, b4);
      b4 = fma(vec3f(d4.w), v3_b, b4);
      let d5 = select(vec4f(), vec4f(f32(dy[at5 + to.x]), f32(dy[at5 + to.y]), f32(dy[at5 + to.z]), f32(dy[at5 + to.w])), used);
      a5 = fma(vec3f(d5.x), v0_a, a5);
      a5 = fma(vec3f(d5.y), v1_a, a5);
      a5 = fma(vec3f(d5.z), v2_a, a5);
      a5 = fma(vec3f(d5.w), v3_a, a5);
      b5 = fma(vec3f(d5.x), v0_b, b5);
      b5 = fma(vec3f(d5.y), v1_b, b5);
      b5 = fma(vec3f(d5.z), v2_b, b5);
      b5 = fma(vec3f(d5.w), v3_b, b5);
      let d6 = select(vec4f(), vec4f(f32(dy[at6 + to.x]), f32(dy[at6 + to.y]), f32(dy[at6 + to.z]), f32(dy[at6 + to.w])), used);
      a6 = fma(vec3f(d6.x), v0_a, a6);
      a6 = fma(vec3f(d6.y), v1_a, a6);
      a6 = fma(vec3f(d6.z), v2_a, a6);
      a6 = fma(vec3f(d6.w), v3_a, a6);
      b6 = fma(vec3f(d6.x), v0_b, b6);
      b6 = fma(vec3f(d6.y), v1_b, b6);
      b6 = fma(vec3f(d6.z), v2_b, b6);
      b6 = fma(vec3f(d6.w), v3_b, b6);
      let d7 = select(vec4f(), vec4f(f32(dy[at7 + to.x]), f32(dy[at7 + to.y]), f32(dy[at7 + to.z]), f32(dy[at7 + to.w])), used);
      a7 = fma(vec3f(d7.x), v0_a, a7);
      a7 = fma(vec3f(d7.y), v1_a, a7);
      a7 = fma(vec3f(d7.z), v2_a, a7);
      a7 = fma(vec3f(d7.w), v3_a, a7);
      b7 = fma(vec3f(d7.x), v0_b, b7);
      b7 = fma(vec3f(d7.y), v1_b, b7);
      b7 = fma(vec3f(d7.z), v2_b, b7);
      b7 = fma(vec3f(d7.w), v3_b, b7);
    }
  }
  let sums_a = array<vec3f, 8>(a0,a1,a2,a3,a4,a5,a6,a7);
  let sums_b = array<vec3f, 8>(b0,b1,b2,b3,b4,b5,b6,b7);
  for (var k = 0u; k < 8u; k++) {
    let o = first_channel + k;
    if (o < params.out_channels && wanted < rows) {
      let at = (((chunk * params.groups + g) * params.out_channels + o) * rows + wanted) * 3u;
      d_weight[at] = sums_a[k].x;
      d_weight[at + 1u] = sums_a[k].y;
      d_weight[at + 2u] = sums_a[k].z;
    }
    if (o < params.out_channels && wanted + LANES < rows) {
      let at = (((chunk * params.groups + g) * params.out_channels + o) * rows + wanted + LANES) * 3u;
      d_weight[at] = sums_b[k].x;
      d_weight[at + 1u] = sums_b[k].y;
      d_weight[at + 2u] = sums_b[k].z;
    }
  }
}
