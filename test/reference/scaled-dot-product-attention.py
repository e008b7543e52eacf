"""Writes test/fixtures/ops/scaled-dot-product-attention.json: attention in float64 by PyTorch's matmul, softmax and autograd.

Run from the repository root: python3 test/reference/scaled-dot-product-attention.py
Inputs are sin(a i + b) of the flat index i, which the test makes again; outputs are y and the gradients for such a dY, of which
every `stride`-th value is kept.
"""
import json
import math
import pathlib

import torch

CASES = [
    dict(size=[1, 2, 3, 4, 5], bias=[1, 2, 3, 4]),
    dict(size=[2, 1, 5, 5, 24], causal=True),
    dict(size=[1, 2, 3, 7, 65], bias=[1, 1, 1, 7]),
    dict(size=[1, 1, 6, 3, 128], causal=True, scale=0.3),
    dict(size=[2, 2, 4, 4, 8], bias=[1, 2, 4, 4], causal=True),
]
STRIDE = 7


def wave(shape, phase):
    size = math.prod(shape)
    values = torch.sin(torch.arange(size, dtype=torch.float64) * 1.7 + phase).float().double()
    return values.reshape(shape).requires_grad_()


def kept(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()[::STRIDE]]


def run(case):
    batches, heads, queries, keys, dim = case["size"]
    q = wave([batches, heads, queries, dim], 0)
    k = wave([batches, heads, keys, dim], 1)
    v = wave([batches, heads, keys, dim], 2)
    scores = q @ k.transpose(-1, -2) * case.get("scale", 1 / math.sqrt(dim))
    leaves = dict(q=q, k=k, v=v)
    if "bias" in case:
        leaves["bias"] = wave(case["bias"], 3)
        scores = scores + leaves["bias"]
    if case.get("causal"):
        scores = scores.masked_fill(torch.ones(queries, keys).triu(1).bool(), -math.inf)
    y = scores.softmax(-1) @ v
    y.backward(wave(list(y.shape), 4).detach())
    return dict(case, y=kept(y), gradients={name: kept(leaf.grad) for name, leaf in leaves.items()})


path = pathlib.Path("test/fixtures/ops/scaled-dot-product-attention.json")
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(dict(stride=STRIDE, cases=[run(case) for case in CASES])) + "\n")
