// σ(x) and softplus(x) = max(x, 0) + ln(1 + e^-|x|), both with a small relative error everywhere. ln(1 + e) is not left to the native
// log, which may be off by 5e-7 near 1 where softplus(-10) itself is 4.5e-5: ln(1 + e) = 2 artanh(e/(2 + e)), argument ≤ 1/3.
fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

fn softplus(x: f32) -> f32 {
  let e = exp(-abs(x));
  let s = e / (2.0 + e);
  let q = s * s;
  let series = 1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0)))));
  return max(x, 0.0) + 2.0 * s * series;
}
