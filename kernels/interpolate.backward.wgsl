// Gradient of trilinear interpolation: dX[r, i] = Σ dY[r, o] · weight(o, i) over the outputs o that read input i.
// dy: [rows, out_count]. dx: [rows, in_count]: the parts from out_first and in_first on of volumes of out_extent and in_extent. A row
// is one channel of one batch item; axes D, Y, X are in x, y, z.
// One invocation an input: a gather, so deterministic and without atomics.
override WORKGROUP_SIZE: u32 = 64;

struct Params { in_extent: vec4u, in_first: vec4u, in_count: vec4u, out_extent: vec4u, out_first: vec4u, out_count: vec4u, rows: u32 }

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/interpolate-axis.wgsl"

fn weight_of(i: u32, o: u32, in_extent: u32, out_extent: u32) -> f32 {
  let source = source_of(o, in_extent, out_extent);
  return select(0.0, 1.0 - source.fraction, source.low == i) + select(0.0, source.fraction, source.high == i);
}

// Outputs [x, y) of one axis that may read input i: those whose source lies within one voxel of it, give or take one output.
fn readers_of(i: u32, in_extent: u32, out_extent: u32) -> vec2u {
  let first = (max(2u * i, 1u) - 1u) * out_extent / (2u * in_extent);
  let last = (2u * i + 3u) * out_extent / (2u * in_extent) + 1u;
  return vec2u(select(max(first, 1u) - 1u, 0u, i == 0u), min(last, out_extent - 1u) + 1u);
}

// Those of them that dy holds.
fn readers_in_part(at: vec3u, axis: u32) -> vec2u {
  let first = params.out_first[axis];
  let readers = readers_of(at[axis], params.in_extent[axis], params.out_extent[axis]);
  return vec2u(max(readers.x, first), min(readers.y, first + params.out_count[axis]));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let extent = params.in_extent;
  let out = params.out_extent;
  let part = params.in_count;
  let volume = part.x * part.y * part.z;
  if (i >= params.rows * volume) {
    return;
  }
  let at = params.in_first.xyz + vec3u(i % volume / (part.y * part.z), i / part.z % part.y, i % part.z);
  let first = params.out_first.xyz;
  let count = params.out_count;
  let depths = readers_in_part(at, 0u);
  let lines = readers_in_part(at, 1u);
  let columns = readers_in_part(at, 2u);
  var sum = 0.0;
  for (var d = depths.x; d < depths.y; d++) {
    let weight_d = weight_of(at.x, d, extent.x, out.x);
    if (weight_d == 0.0) {
      continue;
    }
    for (var h = lines.x; h < lines.y; h++) {
      let weight_dh = weight_d * weight_of(at.y, h, extent.y, out.y);
      if (weight_dh == 0.0) {
        continue;
      }
      let line = ((i / volume * count.x + d - first.x) * count.y + h - first.y) * count.z;
      for (var w = columns.x; w < columns.y; w++) {
        sum += weight_dh * weight_of(at.z, w, extent.z, out.z) * dy[line + w - first.z];
      }
    }
  }
  dx[i] = sum;
}
