// One step of AdamW on one parameter, in place (Loshchilov & Hutter 2019, arXiv 1711.05101; as torch.optim.AdamW):
//   g = scale · grad,  p ← p · keep,  m ← β1 m + (1 − β1) g,  v ← β2 v + (1 − β2) g²,
//   p ← p − rate · m / (√v / correction + epsilon),
// keep = 1 − lr · weight decay, rate = lr / (1 − β1^t), correction = √(1 − β2^t). 1 − β1 and 1 − β2 come from the host: from an
// f32 β2 = 0.999 their difference would lose three digits.
// grad, param, moment, square: [count]. scale: [1]; where the step is `optional`, [3] as loss-scale.wgsl gives it: the factor, 1 where the step is
// taken (else nothing is touched), 1 where the step before was left out (then rate_after and correction_after hold, of another t). An
// invocation RUN elements.
override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;

struct Params { count: u32, optional: u32, keep: f32, rate: f32, correction: f32, rate_after: f32, correction_after: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> grad: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> param: array<f32>;
@group(0) @binding(3) var<storage, read_write> moment: array<f32>;
@group(0) @binding(4) var<storage, read_write> square: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let is_optional = params.optional != 0u;
  if (is_optional && scale[1] == 0.0) {
    return;
  }
  let is_after = is_optional && scale[2] != 0.0;
  let rate = select(params.rate, params.rate_after, is_after);
  let correction = select(params.correction, params.correction_after, is_after);
  let first = (flat_workgroup(group, groups) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.count);
  for (var i = first; i < end; i++) {
    let g = scale[0] * grad[i];
    let m = params.beta1 * moment[i] + params.rest1 * g;
    let v = params.beta2 * square[i] + params.rest2 * g * g;
    moment[i] = m;
    square[i] = v;
    param[i] = params.keep * param[i] - rate * m / (sqrt(v) / correction + params.epsilon);
  }
}
