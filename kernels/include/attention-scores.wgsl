// What the kernels of attention by matrix products share.
const LOWEST = -3.0e38; // stands for -inf, so that rows masked with -inf have no inf - inf

struct Params {
  bias_stride: vec4u, // elements between batches, heads, queries, keys; 0 where the bias is broadcast
  pairs: u32, // of this dispatch, batches times heads
  first_pair: u32, // of this dispatch among all
  heads: u32,
  queries: u32, // of this dispatch, of each pair
  first_query: u32, // of this dispatch among all
  keys: u32,
  causal: u32,
  has_bias: u32,
  scale: f32,
}

fn bias_start(pair: u32) -> u32 {
  return (pair / params.heads) * params.bias_stride.x + (pair % params.heads) * params.bias_stride.y;
}
