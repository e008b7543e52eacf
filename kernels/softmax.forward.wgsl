// Softmax along one axis: y = exp(x - max x) / Σ exp(x - max x).
// x, y: [outer, length, inner], softmax over `length`.
// One workgroup a row (outer, inner), each invocation strides over `length`: for long rows.
override WORKGROUP_SIZE: u32 = 64;

struct Params { outer: u32, length: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

const LOWEST = -3.4e38; // below every finite logit that matters; keeps rows of -inf free of NaN

fn workgroup_max(value: f32, lane: u32) -> f32 {
  reduce_scratch[lane] = value;
  workgroupBarrier();
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      reduce_scratch[lane] = max(reduce_scratch[lane], reduce_scratch[lane + half]);
    }
    workgroupBarrier();
  }
  let largest = reduce_scratch[0];
  workgroupBarrier();
  return largest;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups);
  if (row >= params.outer * params.inner) {
    return;
  }
  let start = (row / params.inner) * params.length * params.inner + row % params.inner;
  var partial = LOWEST;
  for (var t = lane; t < params.length; t += WORKGROUP_SIZE) {
    partial = max(partial, x[start + t * params.inner]);
  }
  let largest = workgroup_max(partial, lane);
  partial = 0.0;
  for (var t = lane; t < params.length; t += WORKGROUP_SIZE) {
    let e = exp(max(x[start + t * params.inner], LOWEST) - largest);
    y[start + t * params.inner] = e;
    partial += e;
  }
  let rsum = 1.0 / workgroup_sum(partial, lane);
  for (var t = lane; t < params.length; t += WORKGROUP_SIZE) {
    y[start + t * params.inner] *= rsum;
  }
}
