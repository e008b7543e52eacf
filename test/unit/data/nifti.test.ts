import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { readNifti, writeNifti, writeNiftiGz } from '../../../src/data/index.ts';
import type { Size3 } from '../../../src/data/index.ts';
import { randomHu } from './volumes.ts';

interface Fixture {
  name: string;
  bytes: string;
  shape: Size3;
  spacingMm: Size3;
  hu: number[];
}
const fixtures = JSON.parse(readFileSync(new URL('../../fixtures/data/nifti.json', import.meta.url), 'utf8')) as Fixture[];

const SHAPE: Size3 = [4, 5, 6];
const SPACING: Size3 = [2.5, 0.75, 0.5];
const HU = randomHu(3, SHAPE);

/** A plain good file, whose header a test then damages. */
const makeFile = (): Uint8Array => writeNifti({ hu: HU, shape: SHAPE, spacingMm: SPACING });

function patched(change: (view: DataView) => void, file = makeFile()): Uint8Array {
  change(new DataView(file.buffer));
  return file;
}

describe('readNifti on files written by nibabel', () => {
  it.each(fixtures)('$name', ({ name, bytes, shape, spacingMm, hu }) => {
    const volume = readNifti(Buffer.from(bytes, 'base64'), name);
    expect(volume.shape).toEqual(shape);
    volume.spacingMm.forEach((size, axis) => expect(size).toBeCloseTo(spacingMm[axis]!, 5));
    // Fixtures are rounded to 1e-4 HU; float32 holds 2500 HU to 1.2e-4.
    const error = Math.max(...hu.map((value, i) => Math.abs(value - volume.hu[i]!)));
    expect(error).toBeLessThan(5e-4);
    expect(volume.source).toBe(name);
    expect(volume.warnings.some((warning) => warning.includes('degrees off'))).toBe(name.includes('15 degrees'));
  });
});

const LETTERS = ['RL', 'AP', 'SI'];
const ALL_AXES = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].flatMap((order) =>
  Array.from({ length: 8 }, (_, bits) => order.map((world, i) => LETTERS[world]![(bits >> i) & 1]).join('')),
);

describe('orientation', () => {
  it('has 48 axis codes', () => expect(new Set(ALL_AXES).size).toBe(48));

  it.each(ALL_AXES)('reads %s back to Superior, Posterior, Left, by sform and by qform', (axes) => {
    const file = writeNifti({ hu: HU, shape: SHAPE, spacingMm: SPACING }, { axes });
    const qformOnly = patched((view) => view.setInt16(254, 0, true), file.slice());
    for (const bytes of [file, qformOnly]) {
      const volume = readNifti(bytes, axes);
      expect(volume.shape).toEqual(SHAPE);
      volume.spacingMm.forEach((size, axis) => expect(size).toBeCloseTo(SPACING[axis]!, 5));
      expect([...volume.hu]).toEqual([...HU]);
      expect(volume.warnings).toEqual([]);
    }
  });

  it('refuses axes that are none', () => {
    for (const axes of ['LPX', 'LLS', 'LP', '']) {
      expect(() => writeNifti({ hu: HU, shape: SHAPE, spacingMm: SPACING }, { axes })).toThrow('axes must be three letters');
    }
  });

  it('prefers the sform to a qform of a higher code', () => {
    const file = patched((view) => {
      view.setInt16(252, 2, true);
      view.setFloat32(264, 0, true);
    });
    expect([...readNifti(file, 'a').hu]).toEqual([...HU]);
  });

  it('warns where there is no orientation and assumes right, anterior, superior', () => {
    const file = patched((view) => {
      view.setInt16(252, 0, true);
      view.setInt16(254, 0, true);
    });
    const volume = readNifti(file, 'a');
    expect(volume.warnings.join()).toContain('no orientation');
    const [, height, width] = SHAPE;
    expect(volume.hu[0]).toBe(HU[(height - 1) * width + width - 1]);
  });

  it('warns where affine and pixdim differ', () => {
    const volume = readNifti(patched((view) => view.setFloat32(80, 0.9, true)), 'a');
    expect(volume.warnings.join()).toContain('differs from pixdim');
    expect(volume.spacingMm[2]).toBeCloseTo(0.5);
  });

  it('reads metres', () => {
    const file = writeNifti({ hu: HU, shape: SHAPE, spacingMm: [0.0025, 0.00075, 0.0005] });
    const volume = readNifti(patched((view) => view.setUint8(123, 1), file), 'a');
    volume.spacingMm.forEach((size, axis) => expect(size).toBeCloseTo(SPACING[axis]!, 5));
  });
});

describe('HU', () => {
  const withScale = (slope: number, intercept: number): Uint8Array =>
    patched((view) => {
      view.setFloat32(112, slope, true);
      view.setFloat32(116, intercept, true);
    });

  it('applies slope and intercept', () => expect(readNifti(withScale(2, -10), 'a').hu[7]).toBe(HU[7]! * 2 - 10));

  it.each([0, NaN])('takes slope %s for 1 and says that the intercept is not applied', (slope) => {
    const volume = readNifti(withScale(slope, -1024), 'a');
    expect([...volume.hu]).toEqual([...HU]);
    expect(volume.warnings.join()).toContain('scl_inter -1024 is not applied');
  });

  const written = (values: (index: number) => number): Uint8Array =>
    writeNifti({ hu: Int16Array.from({ length: 1000 }, (_, i) => values(i)), shape: [10, 10, 10], spacingMm: [1, 1, 1] });

  it.each([
    ['padding', (i: number) => (i % 10 === 0 ? -3024 : (i % 900) - 500), 'taken for padding and set to -1024'],
    ['an 8-bit picture', (i: number) => i % 256, '8-bit picture'],
    ['stored values without intercept', (i: number) => (i * 3) % 2500, 'rescale intercept'],
    ['an intercept applied twice', (i: number) => (i % 1000) - 1400, 'applied twice'],
    ['RescaleIntercept -8192', (i: number) => ((i * 3) % 2500) - 8192, 'taken for padding'],
    ['a constant', () => 40, 'the scan is empty'],
    ['normalised values', (i: number) => (i % 3) - 1, 'looks normalised'],
    ['a wrong slope', (i: number) => (i % 1000) * 30 - 100, 'look wrong'],
    ['a median above 400 HU', (i: number) => (i % 1000) - 50, 'half of the voxels are above 400 HU'],
  ])('warns of %s', (_, values, message) => {
    expect(readNifti(written(values), 'a').warnings.join('; ')).toContain(message);
  });

  it('is silent about a plausible scan, and sets padding to air', () => {
    expect(readNifti(written((i) => (i % 1500) - 1000), 'a').warnings).toEqual([]);
    expect(readNifti(written((i) => (i % 1000) - 150), 'a').warnings).toEqual([]); // median 350 HU
    expect(Math.min(...readNifti(written((i) => (i === 5 ? -2048 : i - 500)), 'a').hu)).toBe(-1024);
  });

  function withNaN(count: number, value = NaN): Uint8Array {
    const file = new Uint8Array(352 + 4000);
    file.set(written(() => 0).subarray(0, 352));
    return patched((view) => {
      view.setInt16(70, 16, true);
      view.setInt16(72, 32, true);
      for (let i = 0; i < 1000; i++) view.setFloat32(352 + 4 * i, i < count ? value : i - 500, true);
    }, file);
  }

  it('replaces a few NaN by air and says so', () => {
    const volume = readNifti(withNaN(3), 'a');
    expect([...volume.hu.slice(0, 4)]).toEqual([-1000, -1000, -1000, -497]);
    expect(volume.warnings.join()).toContain('3 NaN or infinite voxels');
    expect(readNifti(withNaN(2, -Infinity), 'a').warnings.join()).toContain('2 NaN or infinite voxels');
  });

  it('refuses many', () => {
    expect(() => readNifti(withNaN(20), 'scan.nii')).toThrow('readNifti: scan.nii: voxels must be finite, 2.0 % are NaN or infinite; re-export');
    expect(() => readNifti(withNaN(20, Infinity), 'scan.nii')).toThrow('voxels must be finite');
  });
});

describe('bad files', () => {
  const gz = writeNiftiGz({ hu: randomHu(1, [20, 30, 40]), shape: [20, 30, 40], spacingMm: [1, 1, 1] });
  const file = makeFile();
  const cases: [string, () => Uint8Array, string][] = [
    ['empty', () => new Uint8Array(0), 'the file is empty'],
    ['text', () => new TextEncoder().encode('<html>'.repeat(200)), 'not a NIfTI file'],
    ['a gzip of text', () => gzipSync(new TextEncoder().encode('hello '.repeat(200))), 'not a NIfTI file'],
    ['a gzip of three bytes', () => gzipSync(Uint8Array.of(1, 2, 3)), 'not a NIfTI file'],
    ['a header alone', () => file.slice(0, 352), 'it is truncated'],
    ['half a header', () => file.slice(0, 200), 'not a NIfTI file'],
    ['truncated voxels', () => file.slice(0, -1), `the header promises ${file.length} bytes, the file has ${file.length - 1}`],
    ['a truncated gzip', () => gz.slice(0, gz.length >> 1), 'the gzip is truncated'],
    ['a gzip cut in its header', () => gz.slice(0, 12), 'truncated'],
    ['a gzip that ends early', () => gzipSync(file.slice(0, -10)), 'the gzip is truncated: it gives'],
    ['a hdr/img pair', () => patched((view) => view.setUint8(345, 0x69)), '.hdr/.img pair'],
    ['RGB', () => patched((view) => view.setInt16(70, 128, true)), 'voxels must be integers or floats, got RGB24'],
    ['complex', () => patched((view) => view.setInt16(70, 32, true)), 'got complex64'],
    ['an unheard-of type', () => patched((view) => view.setInt16(70, 77, true)), 'got code 77'],
    ['two volumes', () => patched((view) => (view.setInt16(40, 4, true), view.setInt16(48, 2, true))), 'one volume to a file, got 4D [6, 5, 4, 2]'],
    ['a picture', () => patched((view) => view.setInt16(40, 2, true)), 'three sizes'],
    ['no dimensions', () => patched((view) => view.setInt16(40, 0, true)), 'three sizes'],
    ['a negative size', () => patched((view) => view.setInt16(42, -6, true)), 'three sizes of at least 1'],
    ['a size of zero', () => patched((view) => view.setInt16(46, 0, true)), 'three sizes of at least 1'],
    ['enormous sizes', () => patched((view) => [42, 44, 46].forEach((at) => view.setInt16(at, 32767, true))), 'at most 536870912 voxels'],
    ['sizes beyond the data', () => patched((view) => view.setInt16(42, 600, true)), 'it is truncated'],
    ['voxels nowhere', () => patched((view) => view.setFloat32(108, NaN, true)), 'puts the voxels at byte NaN'],
    ['zero spacing', () => patched((view) => view.setFloat32(80, 0, true)), 'spacing must be positive, got [0, 0.75, 2.5]; re-export'],
    ['negative spacing', () => patched((view) => view.setFloat32(84, -1, true)), 'spacing must be positive'],
    ['NaN spacing', () => patched((view) => view.setFloat32(88, NaN, true)), 'spacing must be positive'],
    ['an affine of zeros', () => patched((view) => [280, 284, 288].forEach((at) => view.setFloat32(at, 0, true))), 'spacing must be positive, the affine gives [0,'],
    ['absurd spacing', () => writeNifti({ hu: HU, shape: SHAPE, spacingMm: [500, 1, 1] }), 'spacing must be 0.05 to 50 mm, got [500, 1, 1]'],
    ['tiny spacing', () => writeNifti({ hu: HU, shape: SHAPE, spacingMm: [1, 0.001, 1] }), 'spacing must be 0.05 to 50 mm'],
  ];
  it.each(cases)('refuses %s', (_, make, message) => {
    expect(() => readNifti(make(), 'scan.nii.gz')).toThrow(message);
    expect(() => readNifti(make(), 'scan.nii.gz')).toThrow(/^readNifti: scan\.nii\.gz: /);
  });

  it('finds a flipped byte anywhere in a gzip', () => {
    for (let at = 40; at < gz.length - 8; at += 997) {
      const damaged = gz.slice();
      damaged[at]! ^= 0x10;
      expect(() => readNifti(damaged, 'scan.nii.gz'), `byte ${at}`).toThrow(/damaged|truncated|not a NIfTI|must|promises|asks/);
    }
  });

  it('stops a gzip bomb at the size that its header asks for', () => {
    const bomb = new Uint8Array(64 * 2 ** 20);
    bomb.set(file);
    const packed = gzipSync(bomb, { level: 9 });
    expect(packed.length).toBeLessThan(100_000);
    expect([...readNifti(packed, 'bomb').hu]).toEqual([...HU]);
  });

  it('does not allocate what a small gzip cannot hold', () => {
    const liar = patched((view) => [42, 44, 46].forEach((at) => view.setInt16(at, 800, true)));
    expect(() => readNifti(gzipSync(liar), 'liar')).toThrow('asks for 1024000352 bytes, more than a gzip of');
  });
});

describe('good files', () => {
  it('accepts one volume in four dimensions', () => {
    const file = patched((view) => (view.setInt16(40, 4, true), view.setInt16(48, 1, true)));
    expect([...readNifti(file, 'a').hu]).toEqual([...HU]);
  });

  it('reads a gzip in several members and one with bytes after it', () => {
    const file = makeFile();
    const members = [file.slice(0, 400), file.slice(400)].map((part) => gzipSync(part));
    expect([...readNifti(Buffer.concat(members), 'a').hu]).toEqual([...HU]);
    expect([...readNifti(Buffer.concat([gzipSync(file), Buffer.alloc(512)]), 'a').hu]).toEqual([...HU]);
  });

  it('reads voxels at an odd byte and from a view into a larger buffer', () => {
    const file = makeFile();
    const shifted = new Uint8Array(file.length + 16).subarray(3, 3 + file.length + 9);
    shifted.set(file.subarray(0, 352));
    shifted.set(file.subarray(352), 361);
    new DataView(shifted.buffer, 3).setFloat32(108, 361, true);
    expect([...readNifti(shifted, 'a').hu]).toEqual([...HU]);
  });

  it('writes the same bytes for the same volume', () => {
    const write = (): Uint8Array => writeNiftiGz({ hu: HU, shape: SHAPE, spacingMm: SPACING }, { description: 'phantom 1' });
    expect(write()).toEqual(write());
    expect(new TextDecoder().decode(gunzipSync(write()).subarray(148, 157))).toBe('phantom 1');
  });

  it('rounds and limits HU to int16', () => {
    const hu = Float32Array.of(-1000.4, 0.6, 40000, -40000);
    const file = writeNifti({ hu, shape: [1, 2, 2], spacingMm: SPACING });
    expect([...new Int16Array(file.buffer, 352)]).toEqual([-1000, 1, 32767, -32768]);
  });

  it('refuses to write what is no volume', () => {
    expect(() => writeNifti({ hu: HU, shape: [1, 2, 3], spacingMm: SPACING })).toThrow('must hold the 120 voxels');
    expect(() => writeNifti({ hu: HU, shape: SHAPE, spacingMm: [0, 1, 1] })).toThrow('spacing must be positive');
  });
});
