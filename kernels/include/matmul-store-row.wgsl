// Stores four columns of one row of y, which starts at `start`, with the bias; those past the edges are left out.
fn store_row(row: u32, column: vec4u, start: u32, sums: vec4f) {
  if (row >= params.m) {
    return;
  }
  for (var j = 0u; j < 4u; j++) {
    if (column[j] < params.n) {
      y[start + row * params.n + column[j]] = y_t(sums[j] + bias_at(column[j]));
    }
  }
}
