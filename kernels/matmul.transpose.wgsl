// y[batch, c, r] = x[batch, r, c]: brings a transposed operand of a matrix product into the order that its plan reads.
// x: [batch, rows, columns]. y: [batch, columns, rows].
// A workgroup moves WORKGROUP_SIZE rows x 16 columns: neighbouring invocations write neighbouring addresses, and the 16 reads of
// an invocation share cache lines.
override WORKGROUP_SIZE: u32 = 64;

const COLUMNS = 16u;

struct Params { batch: u32, rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read_write> y: array<y_t>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row_tiles = (params.rows + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
  let column_tiles = (params.columns + COLUMNS - 1u) / COLUMNS;
  let tile = flat_workgroup(group, groups);
  let row = (tile % row_tiles) * WORKGROUP_SIZE + lane;
  let first = ((tile / row_tiles) % column_tiles) * COLUMNS;
  let matrix = tile / (row_tiles * column_tiles);
  if (row >= params.rows || matrix >= params.batch) {
    return;
  }
  let start = matrix * params.rows * params.columns;
  let last = min(first + COLUMNS, params.columns);
  for (var column = first; column < last; column++) {
    y[start + column * params.rows + row] = y_t(f32(x[start + row * params.columns + column]));
  }
}
