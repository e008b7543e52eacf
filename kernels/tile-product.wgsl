// A small matrix product with free strides, one for each batch element:
//   y[b, r, c] = (y[b, r, c] if accumulate) + scale Σ_k a[b, r, k] m[b, k, c].
// a[b, r, k] lies at a_first + b a_batch + r a_row + k a_step; m[b, k, c] at m_first + b m_batch + k m_step + c m_column;
// y: y_first + b y_batch + r columns + c. One invocation a tile of 4 rows × 4 columns, held in registers; neighbouring invocations
// take neighbouring tiles of a row band, so that they share the values of a. Indices past the edge are clamped and not written.
override WORKGROUP_SIZE: u32 = 64;

struct Params {
  batches: u32, rows: u32, columns: u32, steps: u32,
  a_first: u32, a_batch: u32, a_row: u32, a_step: u32,
  m_first: u32, m_batch: u32, m_step: u32, m_column: u32,
  y_first: u32, y_batch: u32, accumulate: u32, scale: f32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

fn store(at: u32, row: u32, column: u32, sums: vec4f) {
  if (row >= params.rows) {
    return;
  }
  for (var k = 0u; k < 4u; k++) {
    if (column + k < params.columns) {
      let i = at + row * params.columns + column + k;
      let before = select(0.0, y[i], params.accumulate != 0u);
      y[i] = before + params.scale * sums[k];
    }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let tile_columns = (params.columns + 3u) / 4u;
  let tile_rows = (params.rows + 3u) / 4u;
  if (i >= params.batches * tile_rows * tile_columns) {
    return;
  }
  let batch = i / (tile_rows * tile_columns);
  let row = 4u * ((i / tile_columns) % tile_rows);
  let column = 4u * (i % tile_columns);
  let a_rows = (vec4u(row) + min(vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u - row))) * params.a_row + params.a_first + batch * params.a_batch;
  let m_columns = (vec4u(column) + min(vec4u(0u, 1u, 2u, 3u), vec4u(params.columns - 1u - column))) * params.m_column + params.m_first + batch * params.m_batch;
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  for (var k = 0u; k < params.steps; k++) {
    let ak = k * params.a_step;
    let mk = k * params.m_step;
    let right = vec4f(m[m_columns.x + mk], m[m_columns.y + mk], m[m_columns.z + mk], m[m_columns.w + mk]);
    s0 += a[a_rows.x + ak] * right;
    s1 += a[a_rows.y + ak] * right;
    s2 += a[a_rows.z + ak] * right;
    s3 += a[a_rows.w + ak] * right;
  }
  let at = params.y_first + batch * params.y_batch;
  store(at, row, column, s0);
  store(at, row + 1u, column, s1);
  store(at, row + 2u, column, s2);
  store(at, row + 3u, column, s3);
}
