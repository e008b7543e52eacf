// What the attention kernels share. HEAD_VECS is the longest row, in vec4f, that their registers hold. The host writes the number in
// the place of HEAD_VECS_VALUE, because arrays of registers need a size known before overrides.
const HEAD_VECS: u32 = HEAD_VECS_VALUE;

#include "include/attention-params.wgsl"

override WORKGROUP_SIZE: u32 = 64;
// 0: a workgroup stays within one (batch, head), so that its invocations read the same rows of the other side at the same time.
// 1: workgroups run on over (batch, head) pairs, for short rows that would leave most of a workgroup idle.
override PACKED: u32 = 0;
// 1: rows have HEAD_VECS, and loops over them are unrolled, so that they stay in registers: right for GPUs.
// 0: rows have params.vecs. Compilers of CPU adapters take up to a minute for the unrolled code, and it runs no faster there.
override UNROLLED: u32 = 0;

struct Place { pair: u32, row: u32, first: u32 }

// The (batch, head) pair and row of an invocation, and the first row of its workgroup (PACKED: its own).
fn place(group: u32, lane: u32, rows: u32) -> Place {
  if (PACKED == 1u) {
    let i = group * WORKGROUP_SIZE + lane;
    return Place(i / rows, i % rows, i % rows);
  }
  let blocks = (rows + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
  let first = (group % blocks) * WORKGROUP_SIZE;
  return Place(group / blocks, first + lane, first);
}

// How many keys query `i` sees, and the first query that sees key `j`, where causal.
fn visible_keys_of(i: u32) -> u32 {
  return u32(clamp(i32(i) + 1 + params.diagonal, 0, i32(params.keys)));
}

fn first_query_of(j: u32) -> u32 {
  return u32(max(i32(j) - params.diagonal, 0));
}

// Sum of the components.
fn total(partial: vec4f) -> f32 {
  return partial.x + partial.y + partial.z + partial.w;
}

// The totals of four vectors.
fn totals(a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> vec4f {
  return vec4f(total(a), total(b), total(c), total(d));
}
