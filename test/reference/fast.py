"""Makes test/fixtures/model/fast.json: FAST's terms (MODEL section 4) written with PyTorch, gradients by its autograd.

Run from the repository root: python3 test/reference/fast.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(4)
torch.set_default_dtype(torch.float64)
BATCHES, TOKENS, STUDENT, TEACHER = 2, 6, 3, 5
STYLE_TAU, MASK_TAU, ENERGY_EPSILON, TAPS = 1.0, 0.5, 1e-6, 2


def rounded(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


def fixed(*shape):
    return torch.tensor(rounded(torch.randn(*shape).float().double())).reshape(shape)


def standardized(e):
    return (e - e.mean(-1, keepdim=True)) / (e.var(-1, unbiased=False, keepdim=True) + ENERGY_EPSILON).sqrt()


def token_energy(r):
    return (r - r.mean(1, keepdim=True)).square().mean(2)


def unit_distance(s, t):
    return (F.normalize(s, dim=-1) - F.normalize(t, dim=-1)).square().sum(-1).mean()


def gram(f, m):
    return torch.einsum("bn,bnr,bnc->brc", m, f, f)


def terms_of(tap):
    projected = F.linear(tap["studentFeatures"], tap["weight"], tap["bias"])
    normed = F.layer_norm(projected, (TEACHER,))
    target = F.layer_norm(tap["teacherFeatures"], (TEACHER,))
    energy, teacher_energy = token_energy(tap["studentResidual"]), token_energy(tap["teacherResidual"])

    def style(m, m_teacher):
        g, g_teacher = gram(normed, m), gram(target, m_teacher)
        return ((g - g_teacher).square().sum((1, 2)) / g_teacher.square().sum((1, 2))).mean()

    uniform = torch.full_like(energy, 1 / TOKENS)
    p = TOKENS * F.softmax(standardized(tap["teacherResidual"].abs().mean(2)) / MASK_TAU, -1)
    q = TEACHER * F.softmax(standardized(tap["teacherFeatures"].abs().mean(1)) / MASK_TAU, -1)
    return {
        "style": style(F.softmax(standardized(energy) / STYLE_TAU, -1), F.softmax(standardized(teacher_energy) / STYLE_TAU, -1)),
        "gatys": style(uniform, uniform),
        "position": unit_distance(energy, teacher_energy),
        "channel": unit_distance(projected.square().mean(1), tap["teacherFeatures"].square().mean(1)),
        "feature": (p[:, :, None] * q[:, None, :] * (normed - target).square()).mean((1, 2)).mean(),
    }


def main():
    taps = []
    for _ in range(TAPS):
        taps.append({
            "studentResidual": fixed(BATCHES, TOKENS, STUDENT), "studentFeatures": fixed(BATCHES, TOKENS, STUDENT),
            "weight": fixed(TEACHER, STUDENT), "bias": fixed(TEACHER),
            "teacherResidual": fixed(BATCHES, TOKENS, TEACHER), "teacherFeatures": fixed(BATCHES, TOKENS, TEACHER),
        })
    leaves = ("studentResidual", "studentFeatures", "weight", "bias")
    for tap in taps:
        for name in leaves:
            tap[name].requires_grad_()
    per_tap = [terms_of(tap) for tap in taps]
    terms = {name: sum(terms[name] for terms in per_tap) / TAPS for name in per_tap[0]}
    total = terms["style"] + terms["position"] + terms["channel"] + terms["feature"]
    total.backward()
    out = {
        "torch": torch.__version__,
        "taps": [{name: {"shape": list(t.shape), "values": rounded(t)} for name, t in tap.items()} for tap in taps],
        "terms": {name: rounded(value)[0] for name, value in terms.items()},
        "total": rounded(total)[0],
        "gradients": [{name: rounded(tap[name].grad) for name in leaves} for tap in taps],
    }
    Path("test/fixtures/model/fast.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


main()
