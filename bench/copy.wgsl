// y = x, RUN times 16 bytes an invocation: what the adapter's memory can do. GPUs want neighbours side by side (RUN 1), CPU adapters
// runs, since each invocation costs.
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;

struct Params { count: u32 }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = ((group.x + group.y * groups.x) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.count);
  for (var i = first; i < end; i++) {
    y[i] = x[i];
  }
}
