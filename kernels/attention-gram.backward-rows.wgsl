// attention-gram.backward.wgsl with one invocation a token, for adapters that run on the CPU. Same bindings, same formulas.
override WORKGROUP_SIZE: u32 = 32;

struct Params { rows: u32, channels: u32 }

@group(0) @binding(0) var<storage, read> f: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read_write> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> dm: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.channels;
  let end = start + params.channels;
  var sum = 0.0;
  for (var i = start; i < end; i++) {
    let value = h[i];
    sum += f[i] * value;
    h[i] = 2.0 * m[row] * value;
  }
  dm[row] = sum;
}
