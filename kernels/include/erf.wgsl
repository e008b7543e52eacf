// The error function, the exact GELU x·Φ(x) and its derivative, for f32.
//
// All rest on the upper tail of the normal distribution, Q(z) = Φ(-z) = erfc(z/√2)/2 = exp(-z²/2)·t·P(t), t = 1/(1 + 0.35 z):
// P is a degree-8 minimax fit (relative error 3e-8 on 0 ≤ z ≤ 13.2), so a tail keeps its relative precision, which 1 - erf loses.
// exp(-z²/2) is built here because the native exp may be off by several ulp at large arguments.

const ERF_SQRT2 = 1.4142135623730951;
const ERF_INVERSE_SQRT_2PI = 0.3989422804014327;
// Beyond it exp(-z²/2) is no normal f32 any more.
const NORMAL_TAIL_END = 13.2;

// exp(-z²/2) for 0 ≤ z ≤ NORMAL_TAIL_END, relative error about 1e-7.
fn exp_minus_half_square(z: f32) -> f32 {
  // z² in two parts: `high` has 12 significant bits, so that its square is exact.
  let high = bitcast<f32>(bitcast<u32>(z) & 0xfffff000u);
  let main_part = 0.5 * high * high;
  let rest = 0.5 * (z - high) * (z + high);
  // exp(-a) = 2^-n · exp(-r), ln 2 in two parts for the same reason.
  let n = floor(main_part * 1.4426950408889634 + 0.5);
  let r = ((main_part - n * 0.693359375) + n * 2.12194440e-4) + rest;
  var e = 0.0013483358238;
  e = e * r - 0.0083796974222;
  e = e * r + 0.0416750476517;
  e = e * r - 0.1666635576471;
  e = e * r + 0.4999995979724;
  e = e * r - 1.0000000521896;
  e = e * r + 1.0000000027526;
  return e * bitcast<f32>((127u - u32(n)) << 23u);
}

// Q(z) / exp(-z²/2) for 0 ≤ z ≤ NORMAL_TAIL_END.
fn scaled_normal_tail(z: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.35 * z);
  var p = -0.029108893170;
  p = p * t + 0.143788036015;
  p = p * t - 0.255326883600;
  p = p * t + 0.158721565775;
  p = p * t - 0.022790439807;
  p = p * t + 0.105369065758;
  p = p * t + 0.119869121470;
  p = p * t + 0.139856700038;
  p = p * t + 0.139621711695;
  return p * t;
}

// erf(x), relative error about 3e-7 everywhere.
fn erf(x: f32) -> f32 {
  let magnitude = abs(x);
  if (magnitude < 1.0) {
    let s = x * x;
    var p = 7.853860920e-5;
    p = p * s - 8.010193495e-4;
    p = p * s + 0.005188327671;
    p = p * s - 0.026853811928;
    p = p * s + 0.112835851485;
    p = p * s - 0.376126258242;
    p = p * s + 1.128379165727;
    return x * p;
  }
  let z = min(magnitude * ERF_SQRT2, NORMAL_TAIL_END);
  return sign(x) * (1.0 - 2.0 * exp_minus_half_square(z) * scaled_normal_tail(z));
}

// GELU (Hendrycks & Gimpel 2016), exact: x·Φ(x).
fn gelu(x: f32) -> f32 {
  let z = min(abs(x), NORMAL_TAIL_END);
  let tail = exp_minus_half_square(z) * scaled_normal_tail(z);
  let y = x * select(tail, 1.0 - tail, x > 0.0);
  return select(y, 0.0, x < -NORMAL_TAIL_END);
}

// d gelu/dx = Φ(x) + x·φ(x), φ the normal density.
fn gelu_derivative(x: f32) -> f32 {
  let z = min(abs(x), NORMAL_TAIL_END);
  let e = exp_minus_half_square(z);
  let tail = e * scaled_normal_tail(z);
  let inside = select(tail, 1.0 - tail, x > 0.0) + clamp(x, -NORMAL_TAIL_END, NORMAL_TAIL_END) * e * ERF_INVERSE_SQRT_2PI;
  return select(inside, 0.0, x < -NORMAL_TAIL_END);
}
