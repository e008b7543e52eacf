// Where an invocation of the conv3d.window kernels works: a stretch of neighbouring output positions of one line along X. Their taps
// along X, three of them next to each other, read a window of two inputs more than there are positions.
struct Stretch {
  is_used: bool,
  item: u32,
  d: i32, // output positions, before out_step and out_offset
  h: i32,
  w: i32, // of the first
  first_d: i32, // input positions that tap 0 reads
  first_h: i32,
  first_w: i32, // the lowest that any tap along X reads
}

fn stretch_of(flat: u32, length: u32) -> Stretch {
  let stretches = (u32(params.positions.z) + length - 1u) / length;
  let lines = u32(params.positions.x * params.positions.y);
  // Past the end the last line is computed again and not stored.
  let line = min(flat / stretches, params.batch * lines - 1u);
  let d = i32(line % lines) / params.positions.y;
  let h = i32(line % lines) % params.positions.y;
  let w = i32(flat % stretches * length);
  return Stretch(
    flat / stretches < params.batch * lines,
    line / lines,
    d,
    h,
    w,
    d * params.in_stride.x + params.in_base.x,
    h * params.in_stride.y + params.in_base.y,
    w + params.in_base.z + min(0, 2 * params.in_step.z),
  );
}

// The tap that reads the lowest input along X, counted from the first of its line, and how many taps on the next one's is.
fn lowest_tap() -> i32 {
  return select(0, 2 * params.tap_stride.z, params.in_step.z < 0);
}

fn next_tap() -> i32 {
  return select(params.tap_stride.z, -params.tap_stride.z, params.in_step.z < 0);
}

fn store(channel_in_group: u32, g: u32, place: Stretch, first: i32, sums: vec4f) {
  if (channel_in_group >= params.out_channels || !place.is_used) {
    return;
  }
  let channel = g * params.out_channels + channel_in_group;
  let line = ((place.d * params.out_step.x + params.out_offset.x) * params.out_extent.y + place.h * params.out_step.y + params.out_offset.y) * params.out_extent.z + params.out_offset.z;
  let start = (place.item * params.groups * params.out_channels + channel) * out_volume() + u32(line);
  for (var j = 0; j < 4; j++) {
    let w = place.w + first + j;
    if (w < params.positions.z) {
      let at = start + u32(w * params.out_step.z);
      y[at] = y_t(start_of(channel, at) + sums[j]);
    }
  }
}
