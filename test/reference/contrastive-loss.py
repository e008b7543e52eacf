"""Makes test/fixtures/ops/{sig-lip-loss,info-nce-loss}.json: PyTorch's values and gradients.

Run from the repository root: python3 test/reference/contrastive-loss.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(2)
torch.set_default_dtype(torch.float64)
IMAGES, TEXTS, CHANNELS = 5, 3, 7
IMAGE_IDS, TEXT_IDS = ["a", "b", "a", "c", "b"], ["c", "a", "b"]


def rounded(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


def leaf(*shape, shift=0.0):
    return torch.tensor(rounded(torch.randn(*shape).float().double() + shift)).reshape(shape).requires_grad_()


def sig_lip(x, y, log_scale, bias, matched):
    logits = log_scale.exp() * x @ y.T + bias
    z = 2.0 * matched - 1.0
    return -F.logsigmoid(z * logits).sum() / x.shape[0]


def info_nce(x, y, log_scale, _, matched):
    logits = log_scale.exp() * x @ y.T
    rows = matched / matched.sum(1, keepdim=True)
    columns = matched / matched.sum(0, keepdim=True)
    return 0.5 * (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, columns.T))


def main():
    matched = torch.tensor([[float(i == t) for t in TEXT_IDS] for i in IMAGE_IDS])
    for stem, loss_of in (("sig-lip-loss", sig_lip), ("info-nce-loss", info_nce)):
        inputs = {"u": leaf(IMAGES, CHANNELS), "v": leaf(TEXTS, CHANNELS), "logScale": leaf(1, shift=2.0), "bias": leaf(1, shift=-3.0)}
        u, v, log_scale, bias = inputs.values()
        loss = loss_of(F.normalize(u, dim=-1), F.normalize(v, dim=-1), log_scale, bias, matched)
        loss.sum().backward()
        out = {
            "torch": torch.__version__,
            "imageIds": IMAGE_IDS,
            "textIds": TEXT_IDS,
            "inputs": {name: {"shape": list(t.shape), "values": rounded(t)} for name, t in inputs.items()},
            "loss": rounded(loss)[0],
            "gradients": {name: rounded(t.grad) for name, t in inputs.items() if t.grad is not None},
        }
        Path(f"test/fixtures/ops/{stem}.json").write_text(json.dumps(out, indent=1) + "\n")


main()
