// What to multiply gradients of this norm with, so that they have at most `limit`; as torch.nn.utils.clip_grad_norm_.
fn clip_scale(norm: f32, limit: f32, epsilon: f32) -> f32 {
  return min(1.0, limit / (norm + epsilon));
}
