// conv3d.wide.wgsl where three taps along X read neighbouring inputs (stride 1): 8 output channels x 8 neighbouring positions an
// invocation, which loads the 10 inputs of a line that its 3 taps read once instead of 24 times. Same formula, bindings and weight.
// Sums are variables of their own: SwiftShader keeps those in registers and an array in memory.
override LANES: u32 = 8;

#include "include/conv3d-params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<y_t>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/conv3d-window.wgsl"

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let workgroup = flat_workgroup(group, groups);
  let blocks = (params.out_channels + 7u) / 8u;
  let channel_block = workgroup % (params.groups * blocks);
  let g = channel_block / blocks;
  let place = stretch_of(workgroup / (params.groups * blocks) * LANES + lane, 8u);
  let extent = vec3u(params.in_extent.xyz);
  let in_volume = extent.x * extent.y * extent.z;
  let x_start = (place.item * params.groups + g) * params.in_channels * in_volume;
  let in_a = vec4u(place.first_w + vec4i(0, 1, 2, 3));
  let in_b = vec4u(place.first_w + vec4i(4, 5, 6, 7));
  let in_e = vec2u(place.first_w + vec2i(8, 9));
  let inside_a = in_a < vec4u(extent.z);
  let inside_b = in_b < vec4u(extent.z);
  let inside_e = in_e < vec2u(extent.z);
  let tap_size = i32(params.in_channels * 2u);
  let weight_start = channel_block * params.taps * params.in_channels * 2u;
  var s0 = vec4f(); // channel 0, positions 0 to 3
  var t0 = vec4f(); // and 4 to 7
  var s1 = vec4f();
  var t1 = vec4f();
  var s2 = vec4f();
  var t2 = vec4f();
  var s3 = vec4f();
  var t3 = vec4f();
  var s4 = vec4f();
  var t4 = vec4f();
  var s5 = vec4f();
  var t5 = vec4f();
  var s6 = vec4f();
  var t6 = vec4f();
  var s7 = vec4f();
  var t7 = vec4f();
  for (var d = 0; d < params.tap_count.x; d++) {
    let in_d = u32(place.first_d + d * params.in_step.x); // negative positions wrap to large ones
    for (var h = 0; h < params.tap_count.y; h++) {
      let in_h = u32(place.first_h + h * params.in_step.y);
      let is_inside = in_d < extent.x && in_h < extent.y;
      let line = x_start + select(0u, (in_d * extent.y + in_h) * extent.z, is_inside);
      let used_a = inside_a & vec4<bool>(is_inside);
      let used_b = inside_b & vec4<bool>(is_inside);
      let used_e = inside_e & vec2<bool>(is_inside);
      var at_a = line + select(vec4u(), in_a, inside_a);
      var at_b = line + select(vec4u(), in_b, inside_b);
      var at_e = line + select(vec2u(), in_e, inside_e);
      let tap = i32(params.tap_start) + d * params.tap_stride.x + h * params.tap_stride.y + lowest_tap();
      var at_0 = weight_start + u32(tap * tap_size);
      var at_1 = weight_start + u32((tap + next_tap()) * tap_size);
      var at_2 = weight_start + u32((tap + 2 * next_tap()) * tap_size);
      for (var c = 0u; c < params.in_channels; c++) {
        let a = select(vec4f(), vec4f(f32(x[at_a.x]), f32(x[at_a.y]), f32(x[at_a.z]), f32(x[at_a.w])), used_a);
        let b = select(vec4f(), vec4f(f32(x[at_b.x]), f32(x[at_b.y]), f32(x[at_b.z]), f32(x[at_b.w])), used_b);
        let e = select(vec2f(), vec2f(f32(x[at_e.x]), f32(x[at_e.y])), used_e);
        let a0 = a;
        let b0 = b;
        let low0 = weight[at_0];
        let high0 = weight[at_0 + 1u];
        s0 = fma(vec4f(low0.x), a0, s0);
        t0 = fma(vec4f(low0.x), b0, t0);
        s1 = fma(vec4f(low0.y), a0, s1);
        t1 = fma(vec4f(low0.y), b0, t1);
        s2 = fma(vec4f(low0.z), a0, s2);
        t2 = fma(vec4f(low0.z), b0, t2);
        s3 = fma(vec4f(low0.w), a0, s3);
        t3 = fma(vec4f(low0.w), b0, t3);
        s4 = fma(vec4f(high0.x), a0, s4);
        t4 = fma(vec4f(high0.x), b0, t4);
        s5 = fma(vec4f(high0.y), a0, s5);
        t5 = fma(vec4f(high0.y), b0, t5);
        s6 = fma(vec4f(high0.z), a0, s6);
        t6 = fma(vec4f(high0.z), b0, t6);
        s7 = fma(vec4f(high0.w), a0, s7);
        t7 = fma(vec4f(high0.w), b0, t7);
        let a1 = vec4f(a.yzw, b.x);
        let b1 = vec4f(b.yzw, e.x);
        let low1 = weight[at_1];
        let high1 = weight[at_1 + 1u];
        s0 = fma(vec4f(low1.x), a1, s0);
        t0 = fma(vec4f(low1.x), b1, t0);
        s1 = fma(vec4f(low1.y), a1, s1);
        t1 = fma(vec4f(low1.y), b1, t1);
        s2 = fma(vec4f(low1.z), a1, s2);
        t2 = fma(vec4f(low1.z), b1, t2);
        s3 = fma(vec4f(low1.w), a1, s3);
        t3 = fma(vec4f(low1.w), b1, t3);
        s4 = fma(vec4f(high1.x), a1, s4);
        t4 = fma(vec4f(high1.x), b1, t4);
        s5 = fma(vec4f(high1.y), a1, s5);
        t5 = fma(vec4f(high1.y), b1, t5);
        s6 = fma(vec4f(high1.z), a1, s6);
        t6 = fma(vec4f(high1.z), b1, t6);
        s7 = fma(vec4f(high1.w), a1, s7);
        t7 = fma(vec4f(high1.w), b1, t7);
        let a2 = vec4f(a.zw, b.xy);
        let b2 = vec4f(b.zw, e);
        let low2 = weight[at_2];
        let high2 = weight[at_2 + 1u];
        s0 = fma(vec4f(low2.x), a2, s0);
        t0 = fma(vec4f(low2.x), b2, t0);
        s1 = fma(vec4f(low2.y), a2, s1);
        t1 = fma(vec4f(low2.y), b2, t1);
        s2 = fma(vec4f(low2.z), a2, s2);
        t2 = fma(vec4f(low2.z), b2, t2);
        s3 = fma(vec4f(low2.w), a2, s3);
        t3 = fma(vec4f(low2.w), b2, t3);
        s4 = fma(vec4f(high2.x), a2, s4);
        t4 = fma(vec4f(high2.x), b2, t4);
        s5 = fma(vec4f(high2.y), a2, s5);
        t5 = fma(vec4f(high2.y), b2, t5);
        s6 = fma(vec4f(high2.z), a2, s6);
        t6 = fma(vec4f(high2.z), b2, t6);
        s7 = fma(vec4f(high2.w), a2, s7);
        t7 = fma(vec4f(high2.w), b2, t7);
        at_a += vec4u(in_volume);
        at_b += vec4u(in_volume);
        at_e += vec2u(in_volume);
        at_0 += 2u;
        at_1 += 2u;
        at_2 += 2u;
      }
    }
  }
  let sums = array<vec4f, 16>(s0, t0, s1, t1, s2, t2, s3, t3, s4, t4, s5, t5, s6, t6, s7, t7);
  for (var k = 0u; k < 16u; k++) {
    store(channel_block % blocks * 8u + k / 2u, g, place, i32(k % 2u * 4u), sums[k]);
  }
}
