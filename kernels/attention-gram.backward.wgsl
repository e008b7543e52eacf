// Gradients of a weighted Gram matrix from h_n = D f_n, D the symmetrised gradient of G:
//   df_n = 2 m_n h_n,  dm_n = f_n · h_n.
// f: [rows, channels]. m, dm: [rows]. h: [rows, channels], overwritten with df. One workgroup a token.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, channels: u32 }

@group(0) @binding(0) var<storage, read> f: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read_write> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> dm: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.channels;
  var partial = 0.0;
  for (var c = lane; c < params.channels; c += WORKGROUP_SIZE) {
    let value = h[start + c];
    partial += f[start + c] * value;
    h[start + c] = 2.0 * m[row] * value;
  }
  let sum = workgroup_sum(partial, lane);
  if (lane == 0u) {
    dm[row] = sum;
  }
}
