// Where output `o` of an axis reads: (1 − fraction) · x[low] + fraction · x[high], for centres aligned (align_corners = false):
//   source = max((o + 1/2) · in_extent/out_extent − 1/2, 0).
// Computed in integers, so that forward and backward agree on it and it is exact wherever `source` is whole.
struct Source { low: u32, high: u32, fraction: f32 }

fn source_of(o: u32, in_extent: u32, out_extent: u32) -> Source {
  let shifted = (2u * o + 1u) * in_extent;
  let numerator = max(shifted, out_extent) - out_extent;
  let low = min(numerator / (2u * out_extent), in_extent - 1u);
  let rest = numerator - low * 2u * out_extent;
  return Source(low, min(low + 1u, in_extent - 1u), f32(rest) / f32(2u * out_extent));
}
