import { describe, expect, it } from 'vitest';
import { LABELS } from '../../../../src/data/labels.ts';
import type { Label } from '../../../../src/data/labels.ts';
import { looksLikeChest, openCohort, readNifti } from '../../../../src/data/index.ts';
import type { FileSystem } from '../../../../src/data/index.ts';
import { generatePhantomCase, phantomCases, phantomCohort, renderPhantom, renderPhantomFile, VALIDATION_INDEX, withoutFinding } from '../../../../src/data/phantom/index.ts';
import type { PhantomCase, PhantomFileEntry, PhantomVolume } from '../../../../src/data/phantom/index.ts';

/** One label on a coarse grid: a render takes a few milliseconds. */
function only(label: Label, severity: number, index = 0): PhantomCase {
  const phantom = generatePhantomCase(13, index, { labels: Uint8Array.from(LABELS, (l) => (l === label ? 1 : 0)), severity });
  return coarse(phantom);
}

function coarse(phantom: PhantomCase): PhantomCase {
  return { ...phantom, reconstructions: phantom.reconstructions.map((r) => ({ ...r, shape: [28, 64, 64], spacingMm: [11, 5.5, 5.5] })) };
}
const share = (volume: PhantomVolume, from: number, to: number) => volume.hu.filter((hu) => hu >= from && hu < to).length / volume.hu.length;

/** What one finding changes: HU after minus before, the changed voxels' mean position (shares of D, Y, X) and HU after. */
function change(label: Label, severity = 0.8, index = 0) {
  const phantom = only(label, severity, index);
  const before = renderPhantom(withoutFinding(phantom, label), 0, { scanner: false });
  const after = renderPhantom(phantom, 0, { scanner: false });
  const [D, Y, X] = after.shape;
  const at = [0, 0, 0];
  const values: number[] = [];
  let raised = 0;
  let changed = 0;
  after.hu.forEach((hu, o) => {
    const difference = hu - before.hu[o]!;
    if (Math.abs(difference) < 25) return;
    changed++;
    raised += difference > 0 ? 1 : 0;
    values.push(hu);
    at[0]! += Math.floor(o / (Y * X)) / D;
    at[1]! += (Math.floor(o / X) % Y) / Y;
    at[2]! += (o % X) / X;
  });
  values.sort((a, b) => a - b);
  return { changed, raised: raised / changed, z: at[0]! / changed, y: at[1]! / changed, x: at[2]! / changed, median: values[values.length >> 1]!, highest: values.at(-1)!, phantom };
}

/** The cohort's files as a read-only folder; volumes are listed but not rendered. */
function listing(files: readonly PhantomFileEntry[]): FileSystem {
  const refuse = () => Promise.reject(new Error('read-only'));
  return {
    readFile: (path) => Promise.resolve(files.find((f) => f.path === path)!.render().bytes),
    list: (directory) => {
      const depth = directory === '' ? 0 : directory.split('/').length;
      const below = files.filter((f) => directory === '' || f.path.startsWith(`${directory}/`)).map((f) => f.path.split('/'));
      const names = new Map(below.map((parts) => [parts[depth]!, parts.length > depth + 1]));
      return Promise.resolve([...names].map(([name, isFolder]) => ({ name, kind: isFolder ? 'directory' as const : 'file' as const, bytes: 1 })));
    },
    exists: () => Promise.resolve(true),
    join: (...parts) => parts.filter(Boolean).join('/'),
    writeFile: refuse, appendFile: refuse, makeDirectory: refuse, remove: refuse,
  };
}

describe('phantom volumes', () => {
  it('renders the same bytes whatever was rendered before', () => {
    const key = { index: 3, scan: 0, reconstruction: 0 };
    const first = renderPhantomFile(5, key);
    const other = renderPhantomFile(5, { ...key, index: 4 });
    const second = renderPhantomFile(5, key);
    expect(second.path).toBe('dataset/train/train_4/train_4_a/train_4_a_1.nii.gz');
    expect(Buffer.compare(first.bytes, second.bytes)).toBe(0);
    expect(Buffer.compare(other.bytes, first.bytes)).not.toBe(0);
  });

  it('has the tissues of a chest in plausible shares and stays in the scanner range', () => {
    for (const index of [0, 1]) {
      const volume = renderPhantom(generatePhantomCase(9, index, { labels: new Uint8Array(18) }));
      expect(Math.min(...volume.shape)).toBeGreaterThanOrEqual(32);
      let [low, high] = [0, 0];
      for (const hu of volume.hu) {
        low = Math.min(low, hu);
        high = Math.max(high, hu);
      }
      expect(low).toBeGreaterThanOrEqual(-1024);
      expect(high).toBeLessThanOrEqual(1900);
      expect(share(volume, -925, -700)).toBeGreaterThan(0.08);
      expect(share(volume, -160, -40)).toBeGreaterThan(0.02);
      expect(share(volume, 0, 120)).toBeGreaterThan(0.1);
      expect(share(volume, 250, 1900)).toBeGreaterThan(0.005);
    }
  });

  it('lies as the house wants it: liver low on the right, spine behind, apices on top', () => {
    const { hu, shape: [D, Y, X] } = renderPhantom(generatePhantomCase(9, 0, { labels: new Uint8Array(18) }), 0, { scanner: false });
    const mean = (k: number, j: number, i: number) => {
      let sum = 0;
      for (let d = -1; d <= 1; d++) for (let e = -1; e <= 1; e++) sum += hu[(Math.round(k * D) * Y + Math.round(j * Y) + d) * X + Math.round(i * X) + e]! / 9;
      return sum;
    };
    expect(mean(0.08, 0.45, 0.33)).toBeGreaterThan(40);
    expect(mean(0.6, 0.5, 0.3)).toBeLessThan(-700);
    const column = (from: number, to: number) => {
      let dense = 0;
      for (let j = Math.round(from * Y); j < to * Y; j++) for (let i = Math.round(0.46 * X); i < 0.54 * X; i++) if (hu[((D >> 1) * Y + j) * X + i]! > 180) dense++;
      return dense;
    };
    expect(column(0.5, 1)).toBeGreaterThan(column(0, 0.5));
  });

  it('makes two kernels of one anatomy: the sharp one is noisier', () => {
    const phantom = coarse(generatePhantomCase(9, 5, { secondReconstruction: 1, labels: new Uint8Array(18) }));
    expect(phantom.reconstructions.map((r) => r.kernel)).toEqual(['smooth', 'sharp']);
    const noise = [0, 1].map((r) => {
      const clean = renderPhantom(phantom, r, { scanner: false });
      const noisy = renderPhantom(phantom, r);
      const [D, Y, X] = clean.shape;
      let sum = 0;
      let count = 0;
      // Flat places only (inside the liver): elsewhere the kernels also change edges.
      for (let o = (D >> 3) * Y * X; o < (D >> 2) * Y * X; o++) {
        if (clean.hu[o]! !== 57 && clean.hu[o]! !== 105) continue;
        sum += (noisy.hu[o]! - clean.hu[o]!) ** 2;
        count++;
      }
      expect(count).toBeGreaterThan(100);
      return Math.sqrt(sum / count);
    });
    expect(noise[1]!).toBeGreaterThan(1.8 * noise[0]!);
    expect(() => renderPhantom(phantom, 2)).toThrow(/has 2 reconstruction\(s\), asked for number 2/);
  });
});

describe('each label changes the voxels where it belongs', () => {
  it.each(LABELS)('%s', (label) => {
    expect(change(label, 0.8).changed).toBeGreaterThan(12);
    expect(change(label, 0.12).changed).toBeGreaterThan(0);
  });

  it('metal is denser than 2000 HU', () => expect(change('Medical material').highest).toBeGreaterThan(2000));
  it('calcium is dense', () => {
    expect(change('Arterial wall calcification').median).toBeGreaterThan(130);
    expect(change('Coronary artery wall calcification').median).toBeGreaterThan(130);
  });
  it('pleural fluid is water-like, low and behind', () => {
    const effusion = change('Pleural effusion');
    expect(effusion.median).toBeGreaterThan(-5);
    expect(effusion.median).toBeLessThan(25);
    expect(effusion.y).toBeGreaterThan(0.52);
    expect(effusion.z).toBeLessThan(0.5);
  });
  it('pericardial fluid and the big heart lie in the lower middle', () => {
    for (const label of ['Pericardial effusion', 'Cardiomegaly', 'Hiatal hernia'] as const) {
      const found = change(label);
      expect(Math.abs(found.x - 0.53), label).toBeLessThan(0.15);
      expect(found.z, label).toBeLessThan(0.55);
    }
  });
  it('emphysema darkens, upper lung first; ground glass, consolidation and collapse brighten', () => {
    const emphysema = change('Emphysema', 0.5);
    expect(emphysema.raised).toBeLessThan(0.05);
    expect(emphysema.z).toBeGreaterThan(0.48);
    const glass = change('Lung opacity');
    expect(glass.raised).toBeGreaterThan(0.95);
    expect(glass.median).toBeLessThan(-250);
    expect(change('Consolidation', 0.9).median).toBeGreaterThan(-150);
    expect(change('Atelectasis', 0.9).median).toBeGreaterThan(-150);
  });
  it('mosaic attenuation does both', () => {
    const mosaic = change('Mosaic attenuation pattern');
    expect(mosaic.raised).toBeGreaterThan(0.3);
    expect(mosaic.raised).toBeLessThan(0.95);
  });
  it('bronchiectasis opens lumina that peribronchial thickening does not', () => {
    expect(change('Bronchiectasis').raised).toBeLessThan(change('Peribronchial thickening').raised);
  });
});

describe('phantom cohort', () => {
  const options = { seed: 4, patients: 5, validationPatients: 3, secondReconstruction: 0.5 };
  const files = [...phantomCohort(options)];
  const text = (name: string) => new TextDecoder().decode(files.find((f) => f.path.endsWith(name))!.render().bytes).trim().split('\n');

  it("has CT-RATE's layout and columns, a row for each volume", () => {
    expect(files.map((f) => f.path)).toContain('dataset/train/train_1/train_1_a/train_1_a_1.nii.gz');
    expect(files.map((f) => f.path)).toContain('dataset/valid/valid_3/valid_3_a/valid_3_a_1.nii.gz');
    const volumes = files.filter((f) => f.volume !== null).map((f) => f.path.split('/').at(-1)!);
    expect(new Set(volumes).size).toBe(volumes.length);
    for (const [prefix, split] of [['train', 'train'], ['validation', 'valid']] as const) {
      const own = volumes.filter((name) => name.startsWith(split));
      const reports = text(`${prefix}_reports.csv`);
      expect(reports[0]).toBe('VolumeName,ClinicalInformation_EN,Technique_EN,Findings_EN,Impressions_EN');
      const labels = text(`${split}_predicted_labels.csv`);
      expect(labels[0]).toBe(`VolumeName,${LABELS.join(',')}`);
      const metadata = text(`${prefix}_metadata.csv`);
      for (const table of [reports, labels, metadata]) expect(table.slice(1).map((line) => line.split(',')[0])).toEqual(own);
    }
  });

  it('gives both reconstructions of a scan one report', () => {
    const rows = text('train_reports.csv').slice(1);
    const pair = rows.filter((line) => /_2\.nii\.gz/.test(line))[0]!;
    const first = rows.find((line) => line.startsWith(pair.split(',')[0]!.replace('_2.nii', '_1.nii')))!;
    expect(first.slice(first.indexOf(','))).toBe(pair.slice(pair.indexOf(',')));
  });

  it('is read as a CT-RATE cohort without a complaint', async () => {
    const cohort = await openCohort(listing(files), { data: '', seed: 1 });
    expect(cohort.problems).toEqual([]);
    const planned = new Map([...phantomCases(options)].map((c) => [c.scanId, c]));
    expect(cohort.scans.length).toBe(files.filter((f) => f.volume).length);
    for (const scan of cohort.scans) {
      const phantom = planned.get(scan.id.slice(0, -2))!;
      expect(scan.patientId).toBe(phantom.patientId);
      expect(scan.labels).toEqual(phantom.labels);
      expect(scan.report).toContain(phantom.report.findings);
      expect(scan.report).toContain(phantom.report.impression);
    }
  });

  it('writes volumes that the NIfTI reader takes as they were drawn', () => {
    const entry = files.find((f) => f.volume?.index === VALIDATION_INDEX)!;
    const volume = renderPhantom(generatePhantomCase(options.seed, VALIDATION_INDEX, options));
    const read = readNifti(entry.render().bytes, entry.path);
    expect(read.shape).toEqual(volume.shape);
    read.spacingMm.forEach((mm, i) => expect(mm).toBeCloseTo(volume.spacingMm[i]!, 3));
    expect(read.hu.length).toBe(volume.hu.length);
    expect(read.hu.findIndex((hu, i) => hu !== volume.hu[i])).toBe(-1);
    expect(read.warnings).toEqual([]);
    expect(looksLikeChest(read)).toEqual([]);
  });

  it('keeps validation patients when training patients are added', () => {
    const more = [...phantomCohort({ ...options, patients: 6 })].find((f) => f.volume?.index === VALIDATION_INDEX)!;
    expect(Buffer.compare(more.render().bytes, files.find((f) => f.path === more.path)!.render().bytes)).toBe(0);
    expect(() => [...phantomCohort({ ...options, patients: 1.5 })]).toThrow(/whole numbers ≥ 0, got 1.5 and 3/);
  });
});
