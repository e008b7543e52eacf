// Rows that the lanes of a subgroup hold together, against 4 rows of each lane: lane l has dimensions l, 8 + l, 16 + l and 24 + l of a row.
fn dot_row(row: vec4f, own: ptr<function, array<vec4f, 32>>) -> vec4f {
  var sum = vec4f();
  sum += subgroupBroadcast(row.x, 0u) * (*own)[0];
  sum += subgroupBroadcast(row.x, 1u) * (*own)[1];
  sum += subgroupBroadcast(row.x, 2u) * (*own)[2];
  sum += subgroupBroadcast(row.x, 3u) * (*own)[3];
  sum += subgroupBroadcast(row.x, 4u) * (*own)[4];
  sum += subgroupBroadcast(row.x, 5u) * (*own)[5];
  sum += subgroupBroadcast(row.x, 6u) * (*own)[6];
  sum += subgroupBroadcast(row.x, 7u) * (*own)[7];
  sum += subgroupBroadcast(row.y, 0u) * (*own)[8];
  sum += subgroupBroadcast(row.y, 1u) * (*own)[9];
  sum += subgroupBroadcast(row.y, 2u) * (*own)[10];
  sum += subgroupBroadcast(row.y, 3u) * (*own)[11];
  sum += subgroupBroadcast(row.y, 4u) * (*own)[12];
  sum += subgroupBroadcast(row.y, 5u) * (*own)[13];
  sum += subgroupBroadcast(row.y, 6u) * (*own)[14];
  sum += subgroupBroadcast(row.y, 7u) * (*own)[15];
  sum += subgroupBroadcast(row.z, 0u) * (*own)[16];
  sum += subgroupBroadcast(row.z, 1u) * (*own)[17];
  sum += subgroupBroadcast(row.z, 2u) * (*own)[18];
  sum += subgroupBroadcast(row.z, 3u) * (*own)[19];
  sum += subgroupBroadcast(row.z, 4u) * (*own)[20];
  sum += subgroupBroadcast(row.z, 5u) * (*own)[21];
  sum += subgroupBroadcast(row.z, 6u) * (*own)[22];
  sum += subgroupBroadcast(row.z, 7u) * (*own)[23];
  sum += subgroupBroadcast(row.w, 0u) * (*own)[24];
  sum += subgroupBroadcast(row.w, 1u) * (*own)[25];
  sum += subgroupBroadcast(row.w, 2u) * (*own)[26];
  sum += subgroupBroadcast(row.w, 3u) * (*own)[27];
  sum += subgroupBroadcast(row.w, 4u) * (*own)[28];
  sum += subgroupBroadcast(row.w, 5u) * (*own)[29];
  sum += subgroupBroadcast(row.w, 6u) * (*own)[30];
  sum += subgroupBroadcast(row.w, 7u) * (*own)[31];
  return sum;
}

// Adds two rows, weighted for each of a lane's rows, to what was there before times `rescale`.
fn add_rows(sums: ptr<function, array<vec4f, 32>>, rescale: vec4f, a: vec4f, weight_a: vec4f, b: vec4f, weight_b: vec4f) {
  (*sums)[0] = (*sums)[0] * rescale + subgroupBroadcast(a.x, 0u) * weight_a + subgroupBroadcast(b.x, 0u) * weight_b;
  (*sums)[1] = (*sums)[1] * rescale + subgroupBroadcast(a.x, 1u) * weight_a + subgroupBroadcast(b.x, 1u) * weight_b;
  (*sums)[2] = (*sums)[2] * rescale + subgroupBroadcast(a.x, 2u) * weight_a + subgroupBroadcast(b.x, 2u) * weight_b;
  (*sums)[3] = (*sums)[3] * rescale + subgroupBroadcast(a.x, 3u) * weight_a + subgroupBroadcast(b.x, 3u) * weight_b;
  (*sums)[4] = (*sums)[4] * rescale + subgroupBroadcast(a.x, 4u) * weight_a + subgroupBroadcast(b.x, 4u) * weight_b;
  (*sums)[5] = (*sums)[5] * rescale + subgroupBroadcast(a.x, 5u) * weight_a + subgroupBroadcast(b.x, 5u) * weight_b;
  (*sums)[6] = (*sums)[6] * rescale + subgroupBroadcast(a.x, 6u) * weight_a + subgroupBroadcast(b.x, 6u) * weight_b;
  (*sums)[7] = (*sums)[7] * rescale + subgroupBroadcast(a.x, 7u) * weight_a + subgroupBroadcast(b.x, 7u) * weight_b;
  (*sums)[8] = (*sums)[8] * rescale + subgroupBroadcast(a.y, 0u) * weight_a + subgroupBroadcast(b.y, 0u) * weight_b;
  (*sums)[9] = (*sums)[9] * rescale + subgroupBroadcast(a.y, 1u) * weight_a + subgroupBroadcast(b.y, 1u) * weight_b;
  (*sums)[10] = (*sums)[10] * rescale + subgroupBroadcast(a.y, 2u) * weight_a + subgroupBroadcast(b.y, 2u) * weight_b;
  (*sums)[11] = (*sums)[11] * rescale + subgroupBroadcast(a.y, 3u) * weight_a + subgroupBroadcast(b.y, 3u) * weight_b;
  (*sums)[12] = (*sums)[12] * rescale + subgroupBroadcast(a.y, 4u) * weight_a + subgroupBroadcast(b.y, 4u) * weight_b;
  (*sums)[13] = (*sums)[13] * rescale + subgroupBroadcast(a.y, 5u) * weight_a + subgroupBroadcast(b.y, 5u) * weight_b;
  (*sums)[14] = (*sums)[14] * rescale + subgroupBroadcast(a.y, 6u) * weight_a + subgroupBroadcast(b.y, 6u) * weight_b;
  (*sums)[15] = (*sums)[15] * rescale + subgroupBroadcast(a.y, 7u) * weight_a + subgroupBroadcast(b.y, 7u) * weight_b;
  (*sums)[16] = (*sums)[16] * rescale + subgroupBroadcast(a.z, 0u) * weight_a + subgroupBroadcast(b.z, 0u) * weight_b;
  (*sums)[17] = (*sums)[17] * rescale + subgroupBroadcast(a.z, 1u) * weight_a + subgroupBroadcast(b.z, 1u) * weight_b;
  (*sums)[18] = (*sums)[18] * rescale + subgroupBroadcast(a.z, 2u) * weight_a + subgroupBroadcast(b.z, 2u) * weight_b;
  (*sums)[19] = (*sums)[19] * rescale + subgroupBroadcast(a.z, 3u) * weight_a + subgroupBroadcast(b.z, 3u) * weight_b;
  (*sums)[20] = (*sums)[20] * rescale + subgroupBroadcast(a.z, 4u) * weight_a + subgroupBroadcast(b.z, 4u) * weight_b;
  (*sums)[21] = (*sums)[21] * rescale + subgroupBroadcast(a.z, 5u) * weight_a + subgroupBroadcast(b.z, 5u) * weight_b;
  (*sums)[22] = (*sums)[22] * rescale + subgroupBroadcast(a.z, 6u) * weight_a + subgroupBroadcast(b.z, 6u) * weight_b;
  (*sums)[23] = (*sums)[23] * rescale + subgroupBroadcast(a.z, 7u) * weight_a + subgroupBroadcast(b.z, 7u) * weight_b;
  (*sums)[24] = (*sums)[24] * rescale + subgroupBroadcast(a.w, 0u) * weight_a + subgroupBroadcast(b.w, 0u) * weight_b;
  (*sums)[25] = (*sums)[25] * rescale + subgroupBroadcast(a.w, 1u) * weight_a + subgroupBroadcast(b.w, 1u) * weight_b;
  (*sums)[26] = (*sums)[26] * rescale + subgroupBroadcast(a.w, 2u) * weight_a + subgroupBroadcast(b.w, 2u) * weight_b;
  (*sums)[27] = (*sums)[27] * rescale + subgroupBroadcast(a.w, 3u) * weight_a + subgroupBroadcast(b.w, 3u) * weight_b;
  (*sums)[28] = (*sums)[28] * rescale + subgroupBroadcast(a.w, 4u) * weight_a + subgroupBroadcast(b.w, 4u) * weight_b;
  (*sums)[29] = (*sums)[29] * rescale + subgroupBroadcast(a.w, 5u) * weight_a + subgroupBroadcast(b.w, 5u) * weight_b;
  (*sums)[30] = (*sums)[30] * rescale + subgroupBroadcast(a.w, 6u) * weight_a + subgroupBroadcast(b.w, 6u) * weight_b;
  (*sums)[31] = (*sums)[31] * rescale + subgroupBroadcast(a.w, 7u) * weight_a + subgroupBroadcast(b.w, 7u) * weight_b;
}

// The dimensions that a lane holds of a row of `columns`; past the last it holds that again.
fn columns_of(subgroup_lane: u32, columns: u32) -> vec4u {
  return min(subgroup_lane % 8u + vec4u(0u, 8u, 16u, 24u), vec4u(columns - 1u));
}
