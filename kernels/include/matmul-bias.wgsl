// The bias [n] of a column; nothing where has_bias is 0, whatever is bound then.
fn bias_at(column: u32) -> f32 {
  return select(0.0, bias[column * params.has_bias], params.has_bias == 1u);
}
