"""Writes test/fixtures/ops/softmax.json: torch.softmax and its gradient in float64.

Run from the repository root: python3 test/reference/softmax.py
Inputs are 3 sin(1.7 i + b) of the flat index i, which the test makes again.
"""
import json
import math
import pathlib

import torch


def wave(shape, phase):
    values = 3 * torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 1.7 + phase)
    return values.float().double().reshape(shape)


def listed(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


def run(shape, dim):
    x = wave(shape, 0).requires_grad_()
    y = torch.softmax(x, dim)
    y.backward(wave(shape, 1))
    return dict(shape=shape, dim=dim, y=listed(y), dx=listed(x.grad))


path = pathlib.Path("test/fixtures/ops/softmax.json")
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps([run([3, 7], -1), run([2, 5, 3], 1), run([1, 71], -1)]) + "\n")
