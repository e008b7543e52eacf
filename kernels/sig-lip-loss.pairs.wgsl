// The SigLIP loss of every pair of all images with a chunk of texts (Zhai et al. 2023, arXiv 2303.15343; big_vision siglip.py):
//   ℓ = e^{t'} dot + b,  z = +1 where matched else −1,
//   loss = softplus(−z ℓ) / images,  g = (σ(ℓ) − [matched]) / images.
// pairs: [images, texts], the dots on entry and g on return; the loss is a mean over all images. image_ids: [images], text_ids: [all texts], equal where matched; or,
// with has_matches, matches: [images, all texts] of 0 and 1. sums: [chunks, texts, 3]: loss, Σ g (ℓ − b), Σ g over a chunk of rows.
// One invocation a text and chunk of images; neighbouring invocations read neighbouring texts. Fixed order, so deterministic.
override WORKGROUP_SIZE: u32 = 64;

struct Params { images: u32, texts: u32, first_text: u32, all_texts: u32, all_images: u32, rows_per_chunk: u32, chunks: u32, has_matches: u32 }

@group(0) @binding(0) var<storage, read> image_ids: array<u32>;
@group(0) @binding(1) var<storage, read> text_ids: array<u32>;
@group(0) @binding(2) var<storage, read> matches: array<u32>;
@group(0) @binding(3) var<storage, read> log_scale: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> pairs: array<f32>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

#include "include/flat-index.wgsl"

// ln(1 + t) for t in [0, 1], with f32's full relative precision: WGSL has no log1p, and 1 + t rounds small t away.
// 2 artanh(s), s = t / (2 + t) ≤ 1/3: after s¹²/13 the series leaves 2e-8.
fn log_one_plus(t: f32) -> f32 {
  let s = t / (2.0 + t);
  let q = s * s;
  return 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0))))));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.texts * params.chunks) {
    return;
  }
  let column = i % params.texts;
  let text = params.first_text + column;
  let first = (i / params.texts) * params.rows_per_chunk;
  let last = min(first + params.rows_per_chunk, params.images);
  let scale = exp(log_scale[0]);
  let share = 1.0 / f32(params.all_images);
  let by_ids = params.has_matches == 0u;
  var loss = 0.0;
  var d_scale = 0.0;
  var d_bias = 0.0;
  for (var row = first; row < last; row++) {
    let at = row * params.texts + column;
    let scaled = scale * pairs[at];
    let logit = scaled + bias[0];
    var matched: bool;
    if (by_ids) {
      matched = image_ids[row] == text_ids[text];
    } else {
      matched = matches[row * params.all_texts + text] != 0u;
    }
    let v = select(logit, -logit, matched);
    let tail = exp(-abs(v));
    let softplus = max(v, 0.0) + log_one_plus(tail);
    // σ(v), without the cancellation of σ(ℓ) − 1 where a matched pair is already good.
    let sigmoid = select(tail, 1.0, v >= 0.0) / (1.0 + tail);
    let g = select(sigmoid, -sigmoid, matched) * share;
    pairs[at] = g;
    loss += softplus * share;
    d_scale += g * scaled;
    d_bias += g;
  }
  sums[3u * i] = loss;
  sums[3u * i + 1u] = d_scale;
  sums[3u * i + 2u] = d_bias;
}
