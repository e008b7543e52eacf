// Where element i of a row-major tensor lies in an operand with strides of its own (0 where it is broadcast).
// Axes count from the innermost; `override RANK` (1..8) is their number, so that the loop is unrolled.
struct Axes { low: vec4u, high: vec4u }

fn at_axis(axes: Axes, axis: u32) -> u32 {
  return select(axes.high, axes.low, axis < 4u)[axis & 3u];
}

fn strided_index(i: u32, extents: Axes, strides: Axes) -> u32 {
  var rest = i;
  var index = 0u;
  for (var axis = 0u; axis + 1u < RANK; axis++) {
    let extent = at_axis(extents, axis);
    let outer = rest / extent;
    index += (rest - outer * extent) * at_axis(strides, axis);
    rest = outer;
  }
  return index + rest * at_axis(strides, RANK - 1u);
}
