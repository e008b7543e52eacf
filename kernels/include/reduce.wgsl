// Sum over the invocations of a workgroup. Every invocation calls it (uniform control flow) and gets the sum.
// Needs `override WORKGROUP_SIZE` to be a power of two. Deterministic: a fixed tree, no atomics.
var<workgroup> reduce_scratch: array<f32, WORKGROUP_SIZE>;

fn workgroup_sum(value: f32, lane: u32) -> f32 {
  reduce_scratch[lane] = value;
  workgroupBarrier();
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      reduce_scratch[lane] += reduce_scratch[lane + half];
    }
    workgroupBarrier();
  }
  let sum = reduce_scratch[0];
  workgroupBarrier();
  return sum;
}
