// What becomes of a step whose loss was multiplied with a dynamic scale (Micikevicius et al. 2018, arXiv 1710.03740, §3.2; the rules of
// torch.amp.GradScaler), decided here so that nobody waits for the norm. Where the norm of the scaled gradients is finite the step is taken:
//   norm = scaled_norm / scale,  factor = min(1, limit / (norm + epsilon)) / scale (1 / scale where limit is 0),
// and after `interval` of them in a row the scale is doubled, up to `most`. Else it is left out: factor is 0, norm is scaled_norm bit for bit, and
// the scale is halved, down to `least`.
// update: [3] factor, 1 where the step is taken, 1 where the one before was left out. state: [3] scale (a power of two), steps taken since
// it changed or a step was left out, 1 where the last step was left out. One invocation.
struct Params { limit: f32, epsilon: f32, interval: f32, least: f32, most: f32 }

// Norms are looked at as bits, since arithmetic on floats may assume that there are no infinities and no NaN.
@group(0) @binding(0) var<storage, read> scaled_norm: array<u32>;
@group(0) @binding(1) var<storage, read_write> norm: array<u32>;
@group(0) @binding(2) var<storage, read_write> update: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/clip-scale.wgsl"

// The exponent of infinities and NaN, and of no other number.
const NOT_FINITE: u32 = 0x7f800000u;
// The sum of the exponents of a power of two and its inverse, in place.
const TWO_BIASES: u32 = 0x7f000000u;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {
  if (group.x != 0u) {
    return;
  }
  let bits = scaled_norm[0];
  let scale = state[0];
  let was_left_out = state[2];
  if ((bits & NOT_FINITE) == NOT_FINITE) {
    norm[0] = bits;
    update[0] = 0.0;
    update[1] = 0.0;
    state[0] = max(0.5 * scale, params.least);
    state[1] = 0.0;
    state[2] = 1.0;
  } else {
    // A division may round.
    let inverse = bitcast<f32>(TWO_BIASES - bitcast<u32>(scale));
    let unscaled = inverse * bitcast<f32>(bits);
    norm[0] = bitcast<u32>(unscaled);
    var clipping = 1.0;
    if (params.limit > 0.0) {
      clipping = clip_scale(unscaled, params.limit, params.epsilon);
    }
    update[0] = clipping * inverse;
    update[1] = 1.0;
    let taken = state[1] + 1.0;
    let grows = taken >= params.interval;
    state[0] = select(scale, min(2.0 * scale, params.most), grows);
    state[1] = select(taken, 0.0, grows);
    state[2] = 0.0;
  }
  update[2] = was_left_out;
}
