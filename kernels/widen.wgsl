// y_i = table[x_i] for bytes x, four in a word, the first in its lowest bits.
// x: [⌈count/4⌉] words. table: [256]. y: [count]. One invocation a word.
// A table and not g/127.5 − 1: WGSL's division may be off by 2.5 ULP, and the values must be those of the CPU to the bit.
override WORKGROUP_SIZE: u32 = 64;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<y_t>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let word = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let first = 4 * word;
  if (first >= params.count) {
    return;
  }
  let bytes = x[word];
  for (var k = 0u; k < min(4u, params.count - first); k++) {
    y[first + k] = y_t(table[(bytes >> (8 * k)) & 0xff]);
  }
}
