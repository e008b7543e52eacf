// Weighted Gram matrices: G[b] = Σ_n m[b, n] f[b, n] f[b, n]ᵀ.
// f: [batches, tokens, channels]. m: [batches, tokens]. g: [batches, channels, channels].
// G is symmetric: one invocation a 4 × 4 tile on or below the diagonal, held in registers, written twice. Neighbouring
// invocations take neighbouring tiles of a tile row. Channels past the edge are clamped and not written.
override WORKGROUP_SIZE: u32 = 64;

struct Params { batches: u32, tokens: u32, channels: u32, tiles: u32 }

@group(0) @binding(0) var<storage, read> f: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read_write> g: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

fn store(at: u32, row: u32, column: u32, sums: vec4f) {
  if (row >= params.channels) {
    return;
  }
  for (var k = 0u; k < 4u; k++) {
    let c = column + k;
    // In a tile on the diagonal only the lower triangle writes: no address is written by two lines.
    if (c <= row) {
      g[at + row * params.channels + c] = sums[k];
      g[at + c * params.channels + row] = sums[k];
    }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.batches * params.tiles) {
    return;
  }
  let batch = i / params.tiles;
  let tile = i % params.tiles;
  // Row of tile t in the triangle 0 | 1 2 | 3 4 5 | …; the square root is off by one at most.
  var tile_row = u32((sqrt(8.0 * f32(tile) + 1.0) - 1.0) * 0.5);
  if (tile_row * (tile_row + 1u) / 2u > tile) {
    tile_row--;
  }
  if ((tile_row + 1u) * (tile_row + 2u) / 2u <= tile) {
    tile_row++;
  }
  let row = 4u * tile_row;
  let column = 4u * (tile - tile_row * (tile_row + 1u) / 2u);
  let rows = vec4u(row) + min(vec4u(0u, 1u, 2u, 3u), vec4u(params.channels - 1u - row));
  let columns = vec4u(column) + min(vec4u(0u, 1u, 2u, 3u), vec4u(params.channels - 1u - column));
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  for (var n = batch * params.tokens; n < (batch + 1u) * params.tokens; n++) {
    let at = n * params.channels;
    let right = m[n] * vec4f(f[at + columns.x], f[at + columns.y], f[at + columns.z], f[at + columns.w]);
    s0 += f[at + rows.x] * right;
    s1 += f[at + rows.y] * right;
    s2 += f[at + rows.z] * right;
    s3 += f[at + rows.w] * right;
  }
  let at = batch * params.channels * params.channels;
  store(at, row, column, s0);
  store(at, row + 1u, column, s1);
  store(at, row + 2u, column, s2);
  store(at, row + 3u, column, s3);
}
