// The symmetric InfoNCE loss of every pair (Radford et al. 2021, arXiv 2103.00020):
//   ℓ = e^{log_scale} dot; image i has the target 1/n_i on each of its n_i texts, text j 1/m_j on each of its m_j images;
//   loss = ½ [target_i (lse_i − ℓ) / images + target_j (lse_j − ℓ) / texts],
//   g    = ½ [(e^{ℓ − lse_i} − target_i) / images + (e^{ℓ − lse_j} − target_j) / texts].
// pairs: [images, texts], the dots on entry and g on return, a block of all pairs from first_image and first_text on. codes:
// [all images + all texts], images first, equal where matched; shares: likewise 1/n_i and 1/m_j. image_lse: [images], text_lse: [texts]. sums: [chunks, texts, 2]: loss, Σ g ℓ over a chunk of rows.
// One invocation a text and chunk of images. Fixed order, so deterministic.
override WORKGROUP_SIZE: u32 = 64;

struct Params { images: u32, texts: u32, first_image: u32, first_text: u32, all_images: u32, all_texts: u32, rows_per_chunk: u32, chunks: u32 }

@group(0) @binding(0) var<storage, read> codes: array<u32>;
@group(0) @binding(1) var<storage, read> shares: array<f32>;
@group(0) @binding(2) var<storage, read> image_lse: array<f32>;
@group(0) @binding(3) var<storage, read> text_lse: array<f32>;
@group(0) @binding(4) var<storage, read> log_scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> pairs: array<f32>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.texts * params.chunks) {
    return;
  }
  let text = i % params.texts;
  let first = (i / params.texts) * params.rows_per_chunk;
  let last = min(first + params.rows_per_chunk, params.images);
  let scale = exp(log_scale[0]);
  let per_image = 0.5 / f32(params.all_images);
  let per_text = 0.5 / f32(params.all_texts);
  let text_at = params.all_images + params.first_text + text; // in codes and shares
  let code = codes[text_at];
  var loss = 0.0;
  var d_scale = 0.0;
  for (var row = first; row < last; row++) {
    let at = row * params.texts + text;
    let logit = scale * pairs[at];
    let matched = codes[params.first_image + row] == code;
    let image_target = select(0.0, shares[params.first_image + row], matched);
    let text_target = select(0.0, shares[text_at], matched);
    let below_image = image_lse[row] - logit;
    let below_text = text_lse[text] - logit;
    let g = per_image * (exp(-below_image) - image_target) + per_text * (exp(-below_text) - text_target);
    pairs[at] = g;
    loss += per_image * image_target * below_image + per_text * text_target * below_text;
    d_scale += g * logit;
  }
  sums[2u * i] = loss;
  sums[2u * i + 1u] = d_scale;
}
