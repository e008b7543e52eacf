"""Makes test/fixtures/data/nifti.json: small NIfTI files by nibabel and what they hold in the house orientation.

Run from the repository's root: python3 test/reference/nifti_fixtures.py   (nibabel, numpy)
"""
import base64
import gzip
import io
import json

import nibabel
import numpy

SHAPE = (4, 3, 5)


def voxels(seed, dtype):
    rng = numpy.random.RandomState(seed)
    values = rng.randint(-1000, 1500, SHAPE)
    if numpy.dtype(dtype).kind == 'u':
        values = rng.randint(0, 250 if numpy.dtype(dtype).itemsize == 1 else 2500, SHAPE)
    if numpy.dtype(dtype) == numpy.int8:
        values = rng.randint(-120, 120, SHAPE)
    if numpy.dtype(dtype).kind == 'f':
        values = values + rng.rand(*SHAPE)
    return values.astype(dtype)


def affine_for(code, zooms, degrees=0.0):
    """Affine whose file axes run along `code` (nibabel's letters), turned about the patient's head-foot axis."""
    axes = {'R': (0, 1), 'L': (0, -1), 'A': (1, 1), 'P': (1, -1), 'S': (2, 1), 'I': (2, -1)}
    affine = numpy.eye(4)
    affine[:3, :3] = 0
    for axis, letter in enumerate(code):
        world, sign = axes[letter]
        affine[world, axis] = sign * zooms[axis]
    angle = numpy.deg2rad(degrees)
    turn = numpy.eye(4)
    turn[:2, :2] = [[numpy.cos(angle), -numpy.sin(angle)], [numpy.sin(angle), numpy.cos(angle)]]
    affine = turn @ affine
    affine[:3, 3] = [-7, 11, 3]
    return affine


def house(image):
    """Array [S, P, L] and spacing, by nibabel's own reorientation."""
    ornt = nibabel.io_orientation(image.affine)
    target = nibabel.orientations.axcodes2ornt('LPS')
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(ornt, target))
    data = numpy.asarray(turned.dataobj, dtype=numpy.float64).transpose(2, 1, 0)
    zooms = numpy.linalg.norm(turned.affine[:3, :3], axis=0)
    return data, [float(z) for z in zooms[::-1]]


def case(name, code='LPS', zooms=(0.75, 0.5, 2.5), dtype=numpy.int16, degrees=0.0, cls=nibabel.Nifti1Image, form='both',
         slope=None, inter=None, big_endian=False, compress=False, seed=0):
    header = cls.header_class(endianness='>' if big_endian else '<')
    header.set_data_dtype(numpy.dtype(dtype).newbyteorder('>' if big_endian else '<'))
    image = cls(voxels(seed, dtype), affine_for(code, zooms, degrees), header, dtype=dtype)
    image.set_sform(image.affine, 1 if form in ('both', 'sform') else 0)
    image.set_qform(image.affine, 1 if form in ('both', 'qform') else 0)
    if slope is not None:
        image.header.set_slope_inter(slope, inter)
    data = image.to_bytes()
    # nibabel resets slope and intercept when it writes: patch them as a converter would have left them.
    if slope is not None:
        raw = bytearray(data)
        at = 112 if cls is nibabel.Nifti1Image else 176
        kind = ('>' if big_endian else '<') + ('f4' if cls is nibabel.Nifti1Image else 'f8')
        raw[at:at + 2 * numpy.dtype(kind).itemsize] = numpy.array([slope, inter], kind).tobytes()
        data = bytes(raw)
    read = cls.from_bytes(data)
    hu, spacing = house(read)
    return {
        'name': name,
        'bytes': base64.b64encode(gzip.compress(data, mtime=0) if compress else data).decode(),
        'shape': list(hu.shape),
        'spacingMm': spacing,
        'hu': [round(float(v), 4) for v in hu.ravel()],
    }


CASES = [
    case('LPS int16'),
    case('RAS int16', code='RAS', seed=1),
    case('PIR int16, gzipped', code='PIR', compress=True, seed=2),
    case('SLA qform only', code='SLA', form='qform', seed=3),
    case('IPL sform only', code='IPL', form='sform', seed=4),
    case('LPS turned by 7 degrees', degrees=7, seed=5),
    case('RAS turned by 15 degrees', code='RAS', degrees=15, seed=6),
    case('uint16 with slope and intercept', dtype=numpy.uint16, slope=1.0, inter=-1024.0, seed=7),
    case('int16 with slope 1.0002441', dtype=numpy.int16, slope=1.0002441, inter=-24.0, seed=8),
    case('uint8', dtype=numpy.uint8, slope=10, inter=-1000, seed=9),
    case('int8', dtype=numpy.int8, slope=8, inter=0, seed=10),
    case('int32', dtype=numpy.int32, seed=11),
    case('uint32', dtype=numpy.uint32, slope=1, inter=-1024, seed=12),
    case('float32', dtype=numpy.float32, seed=13),
    case('float64', dtype=numpy.float64, seed=14),
    case('int64', dtype=numpy.int64, seed=15),
    case('uint64', dtype=numpy.uint64, slope=1, inter=-1024, seed=16),
    case('big-endian int16 RAS', code='RAS', big_endian=True, seed=17),
    case('big-endian float32', dtype=numpy.float32, big_endian=True, seed=18),
    case('big-endian float64', dtype=numpy.float64, big_endian=True, seed=19),
    case('NIfTI-2 AIL int16', code='AIL', cls=nibabel.Nifti2Image, seed=20),
    case('NIfTI-2 qform only, slope', code='LAS', cls=nibabel.Nifti2Image, form='qform', slope=1.25, inter=-100.0, seed=21),
    case('NIfTI-2 big-endian', cls=nibabel.Nifti2Image, big_endian=True, seed=22),
]

with open('test/fixtures/data/nifti.json', 'w') as file:
    file.write('[\n' + ',\n'.join(json.dumps(entry) for entry in CASES) + '\n]\n')
