// The element-wise end of the backward passes over [batches, tokens, channels]:
//   dx[b, n, c] = scale · p · (x − s) − offset[b, c],
//   KIND 0: p = w[b, n],           s = a[b, c]      (token energy: w = de, a = mean, offset = mean of the rest)
//   KIND 1: p = a[b, c],           s = 0            (channel energy: a = de)
//   KIND 2: p = w[b, n] a[b, c] v[b], s = z         (masked alignment: w, a the masks, v = dY)
//   KIND 3: p = v[b],              s = z            (relative distance: v = dY/‖z‖²)
// offset is read by kind 0 only; operands that a kind does not read have one element. rows = batches · tokens.
// One invocation an element.
override WORKGROUP_SIZE: u32 = 64;
override KIND: u32 = 0;

struct Params { rows: u32, tokens: u32, channels: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> w: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read> offset: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.rows * params.channels) {
    return;
  }
  let row = i / params.channels;
  let batch = row / params.tokens;
  let channel = batch * params.channels + i % params.channels;
  var value = x[i];
  if (KIND == 0u) {
    value = params.scale * w[row] * (value - a[channel]) - offset[channel];
  } else if (KIND == 1u) {
    value *= params.scale * a[channel];
  } else if (KIND == 2u) {
    value = params.scale * v[batch] * w[row] * a[channel] * (value - z[i]);
  } else {
    value = params.scale * v[batch] * (value - z[i]);
  }
  dx[i] = value;
}
