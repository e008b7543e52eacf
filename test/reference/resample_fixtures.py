"""Makes test/fixtures/data/resample.json: trilinear resampling by torch, and CT-CLIP's order of preprocessing steps.

Run from the repository's root: python3 test/reference/resample_fixtures.py   (torch, numpy)
"""
import json
import math

import numpy
import torch
import torch.nn.functional as functional


def volume(seed, shape):
    return numpy.random.RandomState(seed).randint(-1400, 1600, shape).astype(numpy.float32)


def resample(data, spacing, target):
    size = [max(1, math.floor(n * s / t + 1e-4)) for n, s, t in zip(data.shape, spacing, target)]
    out = functional.interpolate(torch.from_numpy(data)[None, None].double(), size=size, mode='trilinear', align_corners=False)
    return out[0, 0].numpy()


def crop_or_pad(data, shape):
    out = numpy.full(shape, -1.0)
    source, target = [], []
    for have, want in zip(data.shape, shape):
        start = max(0, (have - want) // 2)
        size = min(have, want)
        before = (want - size) // 2
        source.append(slice(start, start + size))
        target.append(slice(before, before + size))
    out[tuple(target)] = data[tuple(source)]
    return out


def entry(seed, shape, spacing, target, grid):
    data = volume(seed, shape)
    out = resample(data, spacing, target)
    values = crop_or_pad(numpy.clip(out, -1000, 1000) / 1000, grid)
    return {
        'shape': shape, 'spacingMm': spacing, 'targetSpacingMm': target, 'hu': [int(v) for v in data.ravel()],
        'outShape': list(out.shape), 'out': [round(float(v), 3) for v in out.ravel()],
        'grid': grid, 'values': [round(float(v), 6) for v in values.ravel()],
    }


CASES = [
    entry(0, (3, 5, 7), (5.0, 0.8, 0.8), (1.5, 0.75, 0.75), (6, 7, 4)),
    entry(1, (7, 9, 5), (1.0, 0.7, 0.7), (1.5, 1.5, 1.5), (5, 3, 3)),
    entry(2, (1, 3, 63), (2.5, 1.0, 0.5), (1.5, 0.75, 3.0), (2, 5, 9)),
    entry(3, (6, 6, 6), (1.5, 0.75, 0.75), (1.5, 0.75, 0.75), (6, 6, 6)),
    entry(4, (5, 4, 3), (0.6, 3.0, 2.0), (3.0, 0.9, 0.7), (3, 11, 10)),
]

with open('test/fixtures/data/resample.json', 'w') as file:
    file.write('[\n' + ',\n'.join(json.dumps(case) for case in CASES) + '\n]\n')
