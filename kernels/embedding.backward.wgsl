// Gradient of an embedding table: dWeight_v = Σ_{n: ids_n = v} dY_n, for the rows v that occur; the others stay as they are.
// rows: [touched], the ids that occur. offsets: [touched + 1] into positions: [count], the n of each row in ascending order.
// dy: [count, columns]. d_weight: [vocabulary, columns], zero before.
// One invocation a touched row and column: a fixed order of summation, no atomics.
override WORKGROUP_SIZE: u32 = 64;

struct Params { touched: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> rows: array<u32>;
@group(0) @binding(1) var<storage, read> offsets: array<u32>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_weight: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.touched * params.columns) {
    return;
  }
  let entry = i / params.columns;
  let c = i % params.columns;
  var sum = 0.0;
  for (var n = offsets[entry]; n < offsets[entry + 1u]; n++) {
    sum += dy[positions[n] * params.columns + c];
  }
  d_weight[rows[entry] * params.columns + c] = sum;
}
