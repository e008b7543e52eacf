// What the attention kernels that take all keys of a query share.
const LOWEST = -3.0e38; // stands for -inf, so that rows masked with -inf have no inf - inf

struct Params {
  bias_stride: vec4u, // elements between batches, heads, queries, keys; 0 where the bias is broadcast
  pairs: u32, // batches times heads
  heads: u32,
  queries: u32,
  keys: u32,
  vecs: u32, // head dimension / 4; at most HEAD_VECS
  causal: u32, // key j is visible to query i where j ≤ i + diagonal
  diagonal: i32, // 0 unless the rows are a part of all queries or keys
  has_bias: u32,
  resume: u32, // forward: 1 goes on from the y and stats of the keys before these
  scale: f32,
}

fn bias_start(pair: u32) -> u32 {
  return (pair / params.heads) * params.bias_stride.x + (pair % params.heads) * params.bias_stride.y;
}
