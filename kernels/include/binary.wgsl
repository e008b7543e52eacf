// The element-wise operation that `override OPERATION` of the including kernel names. Decided when the pipeline is made.
fn binary(a: f32, b: f32) -> f32 {
  switch (OPERATION) {
    case 0u: { return a + b; }
    case 1u: { return a - b; }
    case 2u: { return a * b; }
    default: { return a / b; }
  }
}
