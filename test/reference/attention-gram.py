"""Makes test/fixtures/ops/attention-gram.json: weighted Gram matrices (MODEL section 4.3) by torch.einsum, gradients by its autograd.

Run from the repository root: python3 test/reference/attention-gram.py
"""

import json
from pathlib import Path

import torch

torch.manual_seed(22)


def digits(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


def exact(tensor):
    """Inputs that f32 holds exactly."""
    return (tensor * 1024).round() / 1024


def case(batches, tokens, channels):
    f = exact(torch.randn(batches, tokens, channels)).double().requires_grad_()
    m = exact(torch.softmax(torch.randn(batches, tokens), -1)).double().requires_grad_()
    g = torch.einsum("bn,bnr,bnc->brc", m, f, f)
    # Not symmetric: the gradient of an unsymmetric use of G must be symmetrised by the op.
    dg = exact(torch.randn(g.shape)).double()
    g.backward(dg)
    return {
        "inputs": {name: {"shape": list(leaf.shape), "values": digits(leaf)} for name, leaf in (("f", f), ("m", m))},
        "dY": digits(dg),
        "y": digits(g),
        "gradients": {"f": digits(f.grad), "m": digits(m.grad)},
    }


fixtures = {
    "one token": case(1, 1, 3),
    "3 channels": case(2, 63, 3),
    "7 channels": case(2, 5, 7),
    "21 channels": case(1, 9, 21),
}
Path("test/fixtures/ops/attention-gram.json").write_text(json.dumps(fixtures) + "\n")
