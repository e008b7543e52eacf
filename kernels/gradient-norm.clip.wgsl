// scale[0] = min(1, limit / (norm[0] + epsilon)). One invocation.
struct Params { limit: f32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> norm: array<f32>;
@group(0) @binding(1) var<storage, read_write> scale: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/clip-scale.wgsl"

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {
  if (group.x == 0u) {
    scale[0] = clip_scale(norm[0], params.limit, params.epsilon);
  }
}
