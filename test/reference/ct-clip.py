"""CTViT, CT-CLIP's text tower and its zero-shot scores in PyTorch, from the definition in the model's documentation (sections 1.1, 1.2 and
1.6), and small checkpoints of odd sizes with what they give. Written from that definition alone.

/usr/bin/python3 test/reference/ct-clip.py                        makes test/fixtures/model/ct-clip-*.{safetensors,pt}
/usr/bin/python3 test/reference/ct-clip.py GOLDEN.safetensors     compares with a run of the original code (--patch PT P1 P2)
"""

import importlib.util
import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

OUT = Path("test/fixtures/model")
spec = importlib.util.spec_from_file_location("safetensors_format", Path(__file__).with_name("safetensors-format.py"))
safetensors_format = importlib.util.module_from_spec(spec)
spec.loader.exec_module(safetensors_format)


def layer_norm(x, weight, bias):
    return F.layer_norm(x, x.shape[-1:], weight, bias)


class Reference:
    """All weights by their released names; `patch` is (frames, rows, columns)."""

    def __init__(self, weights, patch):
        self.w = weights
        self.patch = patch

    def at(self, key):
        return self.w[f"visual_transformer.{key}"]

    def patches(self, video):
        b, c, f, h, w = video.shape
        pt, p1, p2 = self.patch
        x = video.reshape(b, c, f // pt, pt, h // p1, p1, w // p2, p2)
        x = x.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(b, f // pt, h // p1, w // p2, c * pt * p1 * p2)
        x = layer_norm(x, self.at("to_patch_emb.1.weight"), self.at("to_patch_emb.1.bias"))
        x = F.linear(x, self.at("to_patch_emb.2.weight"), self.at("to_patch_emb.2.bias"))
        return layer_norm(x, self.at("to_patch_emb.3.weight"), self.at("to_patch_emb.3.bias"))

    def position_bias(self, h, w):
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        places = torch.stack([rows.reshape(-1), columns.reshape(-1)], dim=-1).double()
        delta = places[:, None] - places[None, :]
        x = delta.sign() * torch.log(1 + delta.abs())
        name = "spatial_rel_pos_bias.net"
        for index in [0, 1]:
            x = F.leaky_relu(F.linear(x, self.at(f"{name}.{index}.0.weight"), self.at(f"{name}.{index}.0.bias")), 0.1)
        x = F.linear(x, self.at(f"{name}.2.weight"), self.at(f"{name}.2.bias"))
        return x.permute(2, 0, 1)

    def peg(self, x, name, shape):
        # The tokens are taken as (b, t, h, w) in whatever order they lie: quirk 1.
        volume = x.reshape(*shape, x.shape[-1]).permute(0, 4, 1, 2, 3)
        padded = F.pad(volume, (1, 1, 1, 1, 2, 0))
        y = F.conv3d(padded, self.at(f"{name}.dsconv.weight"), self.at(f"{name}.dsconv.bias"), groups=x.shape[-1])
        return y.permute(0, 2, 3, 4, 1).reshape(x.shape)

    def attention(self, x, name, bias):
        q_scale, k_scale = self.at(f"{name}.q_scale"), self.at(f"{name}.k_scale")
        q = F.linear(layer_norm(x, self.at(f"{name}.norm.gamma"), self.at(f"{name}.norm.beta")), self.at(f"{name}.to_q.weight"))
        k, v = F.linear(x, self.at(f"{name}.to_kv.weight")).chunk(2, dim=-1)  # not normalised: quirk 2
        heads = lambda y: y.reshape(*y.shape[:2], -1, len(q_scale)).transpose(1, 2)
        q, k = F.normalize(heads(q), dim=-1) * q_scale, F.normalize(heads(k), dim=-1) * k_scale
        logits = 8 * q @ k.transpose(-1, -2)
        if bias is not None:
            logits = logits + bias
        y = logits.softmax(dim=-1) @ heads(v)
        return F.linear(y.transpose(1, 2).flatten(2), self.at(f"{name}.to_out.weight"))

    def feed_forward(self, x, name):
        x = layer_norm(x, self.at(f"{name}.0.weight"), self.at(f"{name}.0.bias"))
        value, gate = F.linear(x, self.at(f"{name}.1.weight")).chunk(2, dim=-1)
        return F.linear(value * F.gelu(gate), self.at(f"{name}.4.weight"))

    def stack(self, x, name, shape, bias=None):
        layer = 0
        while f"visual_transformer.{name}.layers.{layer}.1.q_scale" in self.w:
            at = f"{name}.layers.{layer}"
            x = x + self.peg(x, f"{at}.0", shape)
            x = x + self.attention(x, f"{at}.1", bias)
            x = x + self.feed_forward(x, f"{at}.3")
            layer += 1
        return x, layer_norm(x, self.at(f"{name}.norm_out.gamma"), self.at(f"{name}.norm_out.beta"))

    def quantise(self, x):
        codes = self.at("vq._codebook.embed")[0]
        ids = (F.normalize(x, dim=-1) @ F.normalize(codes, dim=-1).t()).argmax(dim=-1)
        return x + (codes[ids] - x).detach()  # straight through: its gradient is x's

    def __call__(self, video):
        patch_tokens = self.patches(video)
        b, t, h, w, d = patch_tokens.shape
        shape = (b, t, h, w)
        spatial_residual, x = self.stack(patch_tokens.reshape(b * t, h * w, d), "enc_spatial_transformer", shape, self.position_bias(h, w))
        columns = x.reshape(b, t, h * w, d).transpose(1, 2).reshape(b * h * w, t, d)
        temporal_residual, x = self.stack(columns, "enc_temporal_transformer", shape)
        as_grid = lambda y: y.reshape(b, h, w, t, d).permute(0, 3, 1, 2, 4)
        encoded = as_grid(x)
        quantised = self.quantise(encoded)
        latent = F.normalize(F.linear(quantised.mean(dim=1).flatten(1), self.w["to_visual_latent.weight"]), dim=-1)
        return {
            "io.patch_tokens": patch_tokens,
            "io.spatial_residual": spatial_residual.reshape(b, t, h, w, d),
            "io.temporal_residual": as_grid(temporal_residual),
            "io.encoded_tokens": encoded,
            "io.quantised_tokens": quantised,
            "io.latent": latent,
        }


class TextReference:
    """BERT (post-norm, exact GELU, LayerNorm eps 1e-12) by the released names, and `to_text_latent` of its token 0."""

    def __init__(self, weights, heads):
        self.w = weights
        self.heads = heads

    def linear(self, x, name):
        return F.linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"], eps=1e-12)

    def layer(self, x, at, visible):
        own, heads = f"{at}.attention.self", lambda y: y.reshape(*y.shape[:2], self.heads, -1).transpose(1, 2)
        q, k, v = (heads(self.linear(x, f"{own}.{part}")) for part in ["query", "key", "value"])
        scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(~visible[:, None, None, :], float("-inf"))
        context = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = self.norm(x + self.linear(context, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        return self.norm(x + self.linear(F.gelu(self.linear(x, f"{at}.intermediate.dense")), f"{at}.output.dense"), f"{at}.output.LayerNorm")

    def __call__(self, ids, lengths):
        """ids are padded to all positions, as CT-CLIP pads them, and the padding is masked."""
        table = "text_transformer.embeddings"
        x = self.w[f"{table}.word_embeddings.weight"][ids] + self.w[f"{table}.position_embeddings.weight"] + self.w[f"{table}.token_type_embeddings.weight"][0]
        x = self.norm(x, f"{table}.LayerNorm")
        visible = torch.arange(ids.shape[1])[None] < lengths[:, None]
        index = 0
        while f"text_transformer.encoder.layer.{index}.intermediate.dense.weight" in self.w:
            x = self.layer(x, f"text_transformer.encoder.layer.{index}", visible)
            index += 1
        return F.normalize(F.linear(x[:, 0], self.w["to_text_latent.weight"]), dim=-1)


def make_text_weights(width, layers, feed_forward, vocabulary, positions, latent, temperature):
    w, t = {}, "text_transformer"

    def linear(name, out, inputs):
        w[f"{name}.weight"], w[f"{name}.bias"] = torch.randn(out, inputs) * inputs**-0.5, 0.3 * torch.randn(out)

    def norm(name):
        w[f"{name}.weight"], w[f"{name}.bias"] = 1 + 0.3 * torch.randn(width), 0.3 * torch.randn(width)

    for name, rows in [("word", vocabulary), ("position", positions), ("token_type", 2)]:
        w[f"{t}.embeddings.{name}_embeddings.weight"] = torch.randn(rows, width)
    norm(f"{t}.embeddings.LayerNorm")
    for index in range(layers):
        at = f"{t}.encoder.layer.{index}"
        for part in ["query", "key", "value"]:
            linear(f"{at}.attention.self.{part}", width, width)
        linear(f"{at}.attention.output.dense", width, width)
        norm(f"{at}.attention.output.LayerNorm")
        linear(f"{at}.intermediate.dense", feed_forward, width)
        linear(f"{at}.output.dense", width, feed_forward)
        norm(f"{at}.output.LayerNorm")
    linear(f"{t}.pooler.dense", width, width)
    for name in ["to_text_latent", "to_text_latent_extra"]:
        w[f"{name}.weight"] = torch.randn(latent, width) * width**-0.5
    w["temperature"] = torch.tensor(temperature)
    return w


def make_whole(name):
    """Both towers: three volumes, and present and absent prompts of five findings, scored as CT-CLIP scores them."""
    patch, grid, positions, latent, heads = (1, 2, 3), (2, 1, 3), 17, 5, 3
    weights = make_weights(dim=6, heads=2, dim_head=3, codes=7, layers=(1, 1), patch=patch, tokens=3, latent=latent, seed=5)
    weights.update(make_text_weights(width=9, layers=2, feed_forward=11, vocabulary=29, positions=positions, latent=latent, temperature=1.3))
    video = torch.rand(3, 1, *(extent * size for extent, size in zip(grid, patch))) * 2 - 1
    lengths = torch.tensor([1, 3, 17, 5, 8, 2, 16, 4, 9, 7])  # present and absent of each finding in turn
    ids = torch.zeros(len(lengths), positions, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(1, 29, (int(length),))
    exact = double(weights)
    volumes, texts = Reference(exact, patch)(video.double())["io.latent"], TextReference(exact, heads)(ids, lengths)
    logits = exact["temperature"].exp() * volumes @ texts.t()
    scores = logits.reshape(3, -1, 2).softmax(dim=-1)[..., 0]
    io = {"io.video": video, "io.ids": ids, "io.lengths": lengths, "io.latent": volumes, "io.text_latents": texts, "io.logits": logits, "io.scores": scores}
    save(name, {**weights, **io}, {"patch": json.dumps(patch), "heads": str(heads)})


def make_weights(dim, heads, dim_head, codes, layers, patch, tokens, latent, seed):
    torch.manual_seed(seed)
    w = {}
    inner, ff = heads * dim_head, int(4 * (2 / 3) * dim)
    volume, area = patch[0] * patch[1] * patch[2], patch[1] * patch[2]
    random = lambda *shape, scale=1.0: torch.randn(*shape) * scale
    gain = lambda n: 1 + 0.2 * torch.randn(n)
    shift = lambda n: 0.1 * torch.randn(n)
    v = "visual_transformer."
    net = f"{v}spatial_rel_pos_bias.net"
    for index, (a, b) in enumerate([(2, dim), (dim, dim)]):
        w[f"{net}.{index}.0.weight"], w[f"{net}.{index}.0.bias"] = random(b, a, scale=a**-0.5), shift(b)
    w[f"{net}.2.weight"], w[f"{net}.2.bias"] = random(heads, dim, scale=dim**-0.5), shift(heads)
    for name, size in [("to_patch_emb_first_frame", area), ("to_patch_emb", volume)]:
        w[f"{v}{name}.1.weight"], w[f"{v}{name}.1.bias"] = gain(size), shift(size)
        w[f"{v}{name}.2.weight"], w[f"{v}{name}.2.bias"] = random(dim, size, scale=size**-0.5), shift(dim)
        w[f"{v}{name}.3.weight"], w[f"{v}{name}.3.bias"] = gain(dim), shift(dim)
    for stack, count in zip(["enc_spatial_transformer", "enc_temporal_transformer"], layers):
        for layer in range(count):
            at = f"{v}{stack}.layers.{layer}"
            w[f"{at}.0.dsconv.weight"], w[f"{at}.0.dsconv.bias"] = random(dim, 1, 3, 3, 3, scale=0.2), shift(dim)
            w[f"{at}.1.null_kv"] = torch.zeros(heads, 0, dim_head)
            w[f"{at}.1.q_scale"], w[f"{at}.1.k_scale"] = gain(dim_head), gain(dim_head)
            for norm in ["norm", "context_norm"]:
                w[f"{at}.1.{norm}.gamma"], w[f"{at}.1.{norm}.beta"] = gain(dim), shift(dim)
            w[f"{at}.1.to_q.weight"] = random(inner, dim, scale=dim**-0.5)
            w[f"{at}.1.to_kv.weight"] = random(2 * inner, dim, scale=dim**-0.5)
            w[f"{at}.1.to_out.weight"] = random(dim, inner, scale=inner**-0.5)
            w[f"{at}.3.0.weight"], w[f"{at}.3.0.bias"] = gain(dim), shift(dim)
            w[f"{at}.3.1.weight"] = random(2 * ff, dim, scale=dim**-0.5)
            w[f"{at}.3.4.weight"] = random(dim, ff, scale=ff**-0.5)
        w[f"{v}{stack}.norm_out.gamma"], w[f"{v}{stack}.norm_out.beta"] = gain(dim), shift(dim)
    w[f"{v}vq._codebook.initted"] = torch.ones(1)
    w[f"{v}vq._codebook.cluster_size"] = torch.zeros(1, codes)
    w[f"{v}vq._codebook.embed"] = random(1, codes, dim)
    for name, size in [("to_pixels_first_frame", area), ("to_pixels", volume)]:
        w[f"{v}{name}.0.weight"], w[f"{v}{name}.0.bias"] = random(size, dim), shift(size)
    w["to_visual_latent.weight"] = random(latent, tokens * dim, scale=(tokens * dim) ** -0.5)
    return w


def double(weights):
    return {name: tensor.double() for name, tensor in weights.items()}


def save(name, tensors, metadata):
    safetensors_format.write(OUT / f"{name}.safetensors", [(key, "F32", tensor.detach().float().numpy()) for key, tensor in tensors.items()], metadata)


def gradients(weights, patch, video):
    """Of sum(latent * weight), the weight a wave, for every weight that has one."""
    leaves = {name: tensor.requires_grad_() for name, tensor in double(weights).items()}
    latent = Reference(leaves, patch)(video)["io.latent"]
    (latent * torch.sin(1 + torch.arange(latent.numel(), dtype=torch.double)).reshape(latent.shape)).sum().backward()
    return {f"grad.{name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None and leaf.numel()}


def make_case(name, patch, grid, batch, **sizes):
    weights = make_weights(patch=patch, tokens=grid[1] * grid[2], **sizes)
    video = torch.rand(batch, 1, *(extent * size for extent, size in zip(grid, patch))) * 2 - 1
    io = {"io.video": video, **Reference(double(weights), patch)(video.double())}
    save(name, {**weights, **io}, {"patch": json.dumps(patch)})
    if name.endswith("odd"):
        save(f"{name}.gradients", gradients(weights, patch, video.double()), {})


def read_golden(path):
    raw = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    return {key: torch.from_numpy(np.frombuffer(raw[8 + length + e["data_offsets"][0] : 8 + length + e["data_offsets"][1]], "<f4").reshape(e["shape"]).copy()) for key, e in header.items()}


def compare(path, patch):
    tensors = double(read_golden(path))
    got = Reference(tensors, patch)(tensors["io.video"])
    for key, value in got.items():
        if key in tensors:
            error = (value - tensors[key]).abs().max() / tensors[key].abs().max()
            print(f"{key}: relative error {error:.2e}")


def main():
    if len(sys.argv) > 1:
        patch = tuple(int(n) for n in sys.argv[3:]) if len(sys.argv) > 3 else (2, 4, 4)
        return compare(sys.argv[1], patch)
    # No two extents alike: the grid is neither cubic nor square, the inner width is not the width.
    make_case("ct-clip-odd", patch=(3, 2, 2), grid=(5, 3, 4), batch=2, dim=12, heads=3, dim_head=5, codes=9, layers=(1, 3), latent=7, seed=1)
    make_case("ct-clip-flat", patch=(2, 4, 4), grid=(1, 1, 3), batch=3, dim=17, heads=2, dim_head=9, codes=65, layers=(2, 1), latent=1, seed=2)
    # A cube of tokens of square patches, as a teacher of the tiny student.
    make_case("ct-clip-cube", patch=(2, 4, 4), grid=(4, 4, 4), batch=1, dim=10, heads=2, dim_head=4, codes=16, layers=(1, 1), latent=4, seed=4)
    make_whole("ct-clip-whole")
    # As people save it: a training checkpoint of a wrapped model in half precision, with the text tower's keys and the unused ones.
    patch, grid = (2, 2, 3), (3, 2, 2)
    weights = make_weights(dim=8, heads=2, dim_head=3, codes=11, layers=(1, 1), patch=patch, tokens=4, latent=6, seed=3)
    weights["to_visual_latent_extra.weight"] = torch.randn(6, 32)
    weights["to_text_latent.weight"], weights["to_text_latent_extra.weight"] = torch.randn(6, 10), torch.randn(6, 10)
    weights["temperature"] = torch.tensor(1.25)
    weights["text_transformer.embeddings.word_embeddings.weight"] = torch.randn(13, 10)
    halves = {key: tensor.half() for key, tensor in weights.items()}
    halves["text_transformer.embeddings.position_ids"] = torch.arange(5)[None]
    video = torch.rand(1, 1, *(extent * size for extent, size in zip(grid, patch))) * 2 - 1
    torch.save({"epoch": 1, "model": {f"module.{key}": tensor for key, tensor in halves.items()}}, OUT / "ct-clip-wrapped.pt")
    io = Reference(double({key: tensor for key, tensor in halves.items() if tensor.is_floating_point()}), patch)(video.double())
    save("ct-clip-wrapped.io", {"io.video": video, **io}, {"patch": json.dumps(patch)})


main()
