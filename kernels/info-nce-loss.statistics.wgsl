// lse = ln Σ_k e^{ℓ_k}, ℓ = e^{log_scale} · dot, of each line (row or column) of a matrix of dots.
// dots: element k of line n lies at n · line_stride + k · step_stride. lse: [lines]. One workgroup a line; the maximum first, so
// that no exponential overflows.
override WORKGROUP_SIZE: u32 = 64;

struct Params { lines: u32, length: u32, line_stride: u32, step_stride: u32 }

@group(0) @binding(0) var<storage, read> dots: array<f32>;
@group(0) @binding(1) var<storage, read> log_scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

var<workgroup> largest: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let line = flat_workgroup(group, groups);
  if (line >= params.lines) {
    return;
  }
  let start = line * params.line_stride;
  let scale = exp(log_scale[0]);
  var peak = -3.0e38;
  for (var k = lane; k < params.length; k += WORKGROUP_SIZE) {
    peak = max(peak, scale * dots[start + k * params.step_stride]);
  }
  largest[lane] = peak;
  workgroupBarrier();
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      largest[lane] = max(largest[lane], largest[lane + half]);
    }
    workgroupBarrier();
  }
  peak = largest[0];
  var partial = 0.0;
  for (var k = lane; k < params.length; k += WORKGROUP_SIZE) {
    partial += exp(scale * dots[start + k * params.step_stride] - peak);
  }
  let sum = workgroup_sum(partial, lane);
  if (lane == 0u) {
    lse[line] = peak + log(sum);
  }
}
