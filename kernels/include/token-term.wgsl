// The term of token-sum: see kernels/token-sum.wgsl. Needs `override KIND` and the bindings x, z, a.
fn token_term(at: u32, channel: u32) -> f32 {
  var value = x[at];
  if (KIND == 0u) {
    value -= a[channel];
    return value * value;
  } else if (KIND == 1u) {
    return abs(value);
  } else if (KIND == 2u) {
    value -= z[at];
    return value * value;
  } else if (KIND == 3u) {
    return value * value;
  }
  value -= z[at];
  return a[channel] * value * value;
}
