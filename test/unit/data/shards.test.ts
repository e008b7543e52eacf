import { describe, expect, it } from 'vitest';
import { describeSample, LABELS, openCohort, sampleKey, shardName, shardOf, tarEnd, tarHeader, tarPadding } from '../../../src/data/index.ts';
import { memoryFiles } from './memory-files.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function tarOf(files: [string, Uint8Array][]): Uint8Array {
  return Buffer.concat([...files.flatMap(([name, content]) => [tarHeader(name, content.length), content, tarPadding(content.length)]), tarEnd()]);
}

const scan = (n: number) => ({
  id: `scan.${String(n).padStart(2, '0')}`, patientId: `p${n >> 1}`, reportId: `r${n >> 1}`, report: `Report "${n >> 1}",\nsecond line ü.`, path: '',
  labels: n === 3 ? null : Uint8Array.from(LABELS, (_, at) => (at === n % 18 ? 1 : at === 17 ? 255 : 0)),
});
const scans = Array.from({ length: 20 }, (_, n) => scan(n));
const sample = (n: number): [string, Uint8Array][] => [[`${sampleKey(scans[n]!.id)}.json`, utf8(describeSample(scans[n]!))], [`${sampleKey(scans[n]!.id)}.zip`, utf8(`volume ${n}`)]];

function shards(count: number): Record<string, Uint8Array> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`root/${shardName(index)}`, tarOf(scans.flatMap(({ id }, n) => (shardOf(id, count) === index ? sample(n) : [])))]));
}

describe('shards', () => {
  it('take every scan once, by its id alone', () => {
    for (const count of [1, 2, 7]) for (const { id } of scans) expect(shardOf(id, count)).toBeLessThan(count);
    const sizes = Array.from({ length: 8 }, (_, shard) => Array.from({ length: 4000 }, (__, n) => shardOf(`train_${n}_a_1`, 8)).filter((each) => each === shard).length);
    // 500 ± 21 each; within five deviations.
    for (const size of sizes) expect(Math.abs(size - 500)).toBeLessThan(105);
  });

  it('give keys that WebDataset does not cut at a dot, and no two alike', () => {
    expect(sampleKey('train_1_a_1')).toBe('train_1_a_1');
    expect(sampleKey('1.2.840')).not.toContain('.');
    expect(new Set(['a.b', 'a_b', 'a/b'].map(sampleKey)).size).toBe(3);
  });

  it('are one cohort, the same from any number of them, volumes by their place in the archive', async () => {
    const open = (count: number) => openCohort(memoryFiles(shards(count)), { data: 'root', seed: 4 });
    const one = await open(1);
    expect(one.problems).toEqual(['scans without labels, not counted in the evaluation (1): scan.03']);
    expect(one.scans.map(({ id, patientId, reportId, report, labels }) => ({ id, patientId, reportId, report, path: '', labels }))).toEqual(scans);
    const bytes = shards(1)['root/shard-000000.tar']!;
    one.scans.forEach(({ path, part }, n) => {
      expect(path).toBe('root/shard-000000.tar');
      expect(Buffer.from(bytes.subarray(part!.offset, part!.offset + part!.bytes)).toString()).toBe(`volume ${n}`);
    });
    const three = await open(3);
    const without = ({ scans: all }: typeof one) => all.map(({ path: _, part: __, ...rest }) => rest);
    expect(without(three)).toEqual(without(one));
  });

  it('are taken by a list, and as one file', async () => {
    const files = shards(2);
    const listed = await openCohort(memoryFiles(files), { data: 'root/shard-*.tar', shards: Object.keys(files), seed: 1 });
    expect(listed.scans).toHaveLength(20);
    const single = await openCohort(memoryFiles(files), { data: 'root/shard-000001.tar', seed: 1 });
    expect(single.scans.length).toBe(scans.filter(({ id }) => shardOf(id, 2) === 1).length);
  });

  it('name what is damaged or there twice, and go on', async () => {
    const bad = tarOf([...sample(0), ['lonely.zip', utf8('x')], ['broken.json', utf8('{')], ['broken.zip', utf8('x')], ['README.txt', utf8('passed over')]]);
    const { problems, scans: found } = await openCohort(memoryFiles({ 'root/a.tar': bad, 'root/b.tar': tarOf([...sample(0), ...sample(1)]) }), { data: 'root', seed: 1 });
    expect(found.map(({ id, path }) => [id, path])).toEqual([['scan.00', 'root/a.tar'], ['scan.01', 'root/b.tar']]);
    expect(problems).toContain('samples without a readable description or volume, left out (2): a.tar: lonely, a.tar: broken');
    expect(problems).toContain('scans that are in two shards, the first is used (1): scan.00');
  });

  it('that are cut stop with the shard\'s name', async () => {
    const bytes = shards(1)['root/shard-000000.tar']!;
    await expect(openCohort(memoryFiles({ 'root/cut.tar': bytes.subarray(0, 3000) }), { data: 'root', seed: 1 })).rejects.toThrow('readTar: cut.tar: the archive breaks off');
    await expect(openCohort(memoryFiles({ 'root/empty.tar': tarEnd() }), { data: 'root', seed: 1 })).rejects.toThrow('hold no sample');
  });
});
