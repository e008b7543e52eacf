// Geometry of a gather convolution, shared by conv3d.tiled and conv3d.single. Axes D, Y, X are in x, y, z.
struct Params {
  in_extent: vec4i,
  in_stride: vec4i,
  in_base: vec4i,
  in_step: vec4i,
  positions: vec4i,
  tap_count: vec4i,
  tap_stride: vec4i, // flat, in taps
  out_extent: vec4i,
  out_step: vec4i,
  out_offset: vec4i,
  batch: u32,
  groups: u32,
  in_channels: u32, // a group
  out_channels: u32, // a group
  taps: u32, // of the whole kernel
  tap_start: u32,
  has_bias: u32,
  accumulate: u32, // 1: adds to y, which holds the sum over other input channels
  weight_in_stride: u32, // only conv3d.single, which reads the weight as it is
  weight_out_stride: u32,
}

// Four output positions: batch item, input position that tap 0 reads (D, Y, X), flat position in the output volume.
struct Place { item: vec4u, first_d: vec4i, first_h: vec4i, first_w: vec4i, out_position: vec4u }

fn place_of(flat: vec4u, volume: u32) -> Place {
  let m = vec4i(flat % volume);
  let d = m / (params.positions.y * params.positions.z);
  let h = m / params.positions.z % params.positions.y;
  let w = m % params.positions.z;
  let out_extent = params.out_extent;
  let out_step = params.out_step;
  let out_offset = params.out_offset;
  return Place(
    flat / volume,
    d * params.in_stride.x + params.in_base.x,
    h * params.in_stride.y + params.in_base.y,
    w * params.in_stride.z + params.in_base.z,
    vec4u(((d * out_step.x + out_offset.x) * out_extent.y + h * out_step.y + out_offset.y) * out_extent.z + w * out_step.z + out_offset.z),
  );
}

fn out_volume() -> u32 {
  return u32(params.out_extent.x * params.out_extent.y * params.out_extent.z);
}

// What the sum over input channels is added to: the bias, or the sum over the channels before.
fn start_of(channel: u32, at: u32) -> f32 {
  if (params.accumulate == 1u) {
    return f32(y[at]);
  }
  return bias[channel * params.has_bias];
}
