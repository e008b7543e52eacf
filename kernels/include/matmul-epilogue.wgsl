// What a matrix product applies to each sum before it is stored. Needs `override ACTIVATION`: 0 none, 1 GELU, 2 leaky ReLU.
#include "include/erf.wgsl"

fn epilogue(sum: f32, slope: f32) -> f32 {
  if (ACTIVATION == 1u) {
    return gelu(sum);
  }
  if (ACTIVATION == 2u) {
    return select(slope * sum, sum, sum >= 0.0);
  }
  return sum;
}
