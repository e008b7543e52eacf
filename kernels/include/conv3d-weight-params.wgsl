// Geometry of the weight gradient of conv3d, shared by conv3d.backward-weight and conv3d.backward-weight-single. Axes D, Y, X are in
// x, y, z. A row is a line of output positions along X: there are batch · out_extent.x · out_extent.y of them.
struct Params {
  in_extent: vec4i,
  out_extent: vec4i,
  kernel: vec4i,
  stride: vec4i,
  padding: vec4i, // before
  dilation: vec4i,
  batch: u32,
  groups: u32,
  in_channels: u32, // a group
  out_channels: u32, // a group
  rows_per_chunk: u32,
  chunks: u32,
}

// Where the tap `flat` of the kernel reads for output position 0.
fn tap_origin(flat: u32) -> vec3i {
  let t = i32(flat);
  let k = params.kernel.xyz;
  return vec3i(t / (k.y * k.z), (t / k.z) % k.y, t % k.z) * params.dilation.xyz - params.padding.xyz;
}
