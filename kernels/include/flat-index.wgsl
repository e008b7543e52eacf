// The flat number of a workgroup: the host lays out more than 65,535 workgroups as x·y.
fn flat_workgroup(group: vec3u, groups: vec3u) -> u32 {
  return group.x + group.y * groups.x;
}
