"""Writes test/fixtures/ops/embedding.json: torch.nn.functional.embedding and the gradient of its table in float64.

Run from the repository root: python3 test/reference/embedding.py
Table and dY are sin(1.7 i + b) of the flat index i, which the test makes again.
"""
import json
import math
import pathlib

import torch


def wave(shape, phase):
    values = torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 1.7 + phase)
    return values.float().double().reshape(shape)


def listed(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


weight = wave([6, 5], 0).requires_grad_()
ids = [[3, 0, 3, 5], [1, 3, 0, 0]]
y = torch.nn.functional.embedding(torch.tensor(ids), weight)
y.backward(wave(list(y.shape), 1))
path = pathlib.Path("test/fixtures/ops/embedding.json")
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(dict(ids=ids, y=listed(y), d_weight=listed(weight.grad))) + "\n")
