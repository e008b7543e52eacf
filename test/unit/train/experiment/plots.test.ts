import { DOMParser, type Document, type Element } from '@xmldom/xmldom';
import { describe, expect, it } from 'vitest';
import { labelsAbove, legend, linearScale, logScale, niceTicks, signed, tickFormat } from '../../../../src/train/experiment/plot-parts.ts';
import { plotAurocByBytes, plotAurocByQuality, plotLabelForest, plotPatchDifference } from '../../../../src/train/experiment/plots.ts';
import { SAMPLE_ARMS, samplePatchResult, sampleResults } from './plot-samples.ts';

/** Parsed strictly: whatever is no XML throws. */
function parse(svg: string): Document {
  const fail = (level: string, message: string): never => {
    throw new Error(`${level}: ${message}`);
  };
  return new DOMParser({ onError: fail }).parseFromString(svg, 'image/svg+xml');
}

const all = (document: Document, name: string): Element[] => Array.from(document.getElementsByTagName(name));
const number = (element: Element, name: string): number => Number(element.getAttribute(name));
const texts = (document: Document): string[] => all(document, 'text').map(({ textContent }) => textContent ?? '');
const styled = (document: Document, name: string, style: string): Element[] => all(document, name).filter((element) => element.getAttribute('class') === style);

const results = sampleResults();
const patches = samplePatchResult();
const plots = {
  bytes: plotAurocByBytes(results), quality: plotAurocByQuality(results), forest: plotLabelForest(results),
  difference: plotPatchDifference(patches), allArms: plotPatchDifference(patches, 'gram', ['fast', 'fast-fresh']),
};

describe.each(Object.entries(plots))('%s', (_, svg) => {
  const document = parse(svg);
  const root = document.documentElement!;

  it('is a picture with size, name and colours for both schemes', () => {
    expect(root.getAttribute('viewBox')).toBe(`0 0 ${root.getAttribute('width')} ${root.getAttribute('height')}`);
    expect(root.getAttribute('aria-label')!.length).toBeGreaterThan(40);
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg).not.toMatch(/NaN|undefined|Infinity|<script/);
  });

  it('keeps every mark and text within its edges', () => {
    const [width, height] = [number(root, 'width'), number(root, 'height')];
    for (const circle of all(document, 'circle')) {
      expect(number(circle, 'cx')).toBeGreaterThan(0);
      expect(number(circle, 'cx')).toBeLessThan(width);
      expect(number(circle, 'cy')).toBeGreaterThan(60);
      expect(number(circle, 'cy')).toBeLessThan(height - 60);
    }
    for (const text of all(document, 'text')) {
      if (!text.getAttribute('x') || text.getAttribute('text-anchor')) continue;
      // Widths that no usual font exceeds.
      const perCharacter = { title: 8.9, source: 6.1 }[text.getAttribute('class') ?? ''] ?? 6.4;
      expect(number(text, 'x') + perCharacter * text.textContent!.length, text.textContent!).toBeLessThanOrEqual(width);
    }
  });
});

describe('plotAurocByBytes', () => {
  const document = parse(plots.bytes);

  it('has a point an arm, further right for more bytes and higher for more AUROC', () => {
    const [low, high] = styled(document, 'circle', 'fill s1').filter((circle) => number(circle, 'cy') > 130);
    expect(number(low!, 'cx')).toBeLessThan(number(high!, 'cx'));
    expect(number(low!, 'cy')).toBeGreaterThan(number(high!, 'cy'));
    // Five of JPEG alone, and the legend's.
    expect(styled(document, 'circle', 'fill s1')).toHaveLength(6);
    expect(texts(document)).toEqual(expect.arrayContaining(['mean AUROC', 'JPEG 10', '8 bits', 'HU', '20 kB']));
  });

  it('puts equal distances to equal ratios', () => {
    const guides = styled(document, 'line', 'guide').map((line) => number(line, 'x1')).sort((a, b) => a - b);
    const bytes = [...new Set(SAMPLE_ARMS.map((arm) => arm.bytes))].sort((a, b) => a - b);
    const perOctave = guides.slice(1).map((x, n) => (x - guides[n]!) / Math.log2(bytes[n + 1]! / bytes[n]!));
    for (const each of perOctave) expect(each).toBeCloseTo(perOctave[0]!, 0);
  });
});

it('plotAurocByQuality needs an arm that reads JPEG', () => {
  expect(() => plotAurocByQuality(sampleResults(SAMPLE_ARMS.slice(0, 2)))).toThrow('no finished arm reads JPEG');
  expect(() => plotAurocByBytes(sampleResults([]))).toThrow('no finished arm yet');
});

it('plotAurocByQuality draws a single arm too', () => {
  expect(parse(plotAurocByQuality(sampleResults(SAMPLE_ARMS.slice(-1)))).documentElement).not.toBeNull();
});

describe('plotLabelForest', () => {
  const document = parse(plots.forest);

  it('sorts labels by their loss and leaves out those that cannot be measured', () => {
    const names = texts(document).filter((text) => results.labels.some(({ label }) => label === text));
    const losses = names.map((name) => results.arms.find(({ arm }) => arm === 'ct-lite')!.labels[results.labels.findIndex(({ label }) => label === name)]!.difference!.value);
    expect(names).toHaveLength(17);
    expect(losses).toEqual([...losses].sort((a, b) => a - b));
  });

  it('colours by whether the interval excludes zero', () => {
    const { labels } = results.arms.find(({ arm }) => arm === 'ct-lite')!;
    const lost = labels.filter(({ difference }) => difference && difference.interval!.high < 0).length;
    expect(lost).toBeGreaterThan(0);
    expect(styled(document, 'path', 'whisker s2')).toHaveLength(lost);
  });

  it('escapes names and needs both arms', () => {
    const odd = { ...results, name: 'a<b & "c"', labels: results.labels.map((each, at) => (at === 0 ? { ...each, label: 'Node < 5 mm & "more"' } : each)) };
    const svg = plotLabelForest(odd);
    expect(svg).toContain('Node &lt; 5 mm &amp; &quot;more&quot;');
    expect(texts(parse(svg))).toContain('Node < 5 mm & "more"');
    expect(() => plotLabelForest(sampleResults(SAMPLE_ARMS.slice(1)))).toThrow('"ct-lite" and "baseline" must both be finished');
  });
});

describe('plotPatchDifference', () => {
  it('puts each mean where the axis says', () => {
    const document = parse(plots.difference);
    const ticks = all(document, 'text').filter((text) => /^−?\d\.\d+$/.test(text.textContent ?? '')).map((text) => ({ value: Number(text.textContent!.replace('−', '-')), y: number(text, 'y') - 4 }));
    const [a, b] = [ticks[0]!, ticks.at(-1)!];
    const valueAt = (y: number): number => a.value + ((y - a.y) / (b.y - a.y)) * (b.value - a.value);
    const points = styled(document, 'rect', 'fill s2').slice(1);
    expect(points.map((point) => valueAt(number(point, 'y') + 4).toFixed(4))).toEqual(['0.0030', '0.0023', '0.0016', '0.0009', '0.0002', '-0.0005']);
  });

  it('draws differences about a line at zero, which says what is better', () => {
    const document = parse(plots.difference);
    const zero = styled(document, 'line', 'reference').filter((line) => line.hasAttribute('x2') && number(line, 'x2') > 700);
    expect(zero).toHaveLength(1);
    const [first, last] = [0, -1].map((at) => styled(document, 'rect', 'fill s2').slice(1).at(at)!);
    expect(number(first!, 'y') + 4).toBeLessThan(number(zero[0]!, 'y1'));
    expect(number(last!, 'y') + 4).toBeGreaterThan(number(zero[0]!, 'y1'));
    expect(plots.difference).toContain('Above zero is better.');
    expect(plotPatchDifference(patches, 'gram')).toContain('Below zero is better.');
    expect(() => plotPatchDifference({ ...patches, differences: [] })).toThrow('the result has no difference in centredCosine of fast');
  });

  it('says which measure is missing', () => {
    expect(() => plotPatchDifference(patches, 'pooledCosine', ['untrained'])).toThrow('the result has no difference in pooledCosine of untrained');
  });
});

describe('parts', () => {
  it('finds round ticks that enclose the range', () => {
    expect(niceTicks(0.61, 0.79, 5)).toEqual([0.6, 0.65, 0.7, 0.75, 0.8]);
    expect(niceTicks(-0.03, 0.08, 6)).toEqual([-0.04, -0.02, 0, 0.02, 0.04, 0.06, 0.08]);
    expect(niceTicks(3, 3, 5).length).toBeGreaterThanOrEqual(2);
    expect(logScale([8, 130], [0, 1]).ticks).toEqual([10, 20, 50, 100]);
    expect(linearScale([0.61, 0.79], [100, 0], 5)(0.7)).toBeCloseTo(50, 9);
    expect([0, 0.05, 0.1].map(tickFormat([0, 0.05, 0.1]))).toEqual(['0.00', '0.05', '0.10']);
    expect([signed('-0.000'), signed('-0.01'), signed('0.1')]).toEqual(['0.000', '−0.01', '0.1']);
  });

  it('lets no label cover another', () => {
    const { rows } = labelsAbove([{ x: 100, text: 'JPEG 10' }, { x: 110, text: 'JPEG 30' }, { x: 300, text: 'JPEG 95' }], 50, 100);
    expect(rows).toBe(2);
    const short = legend([{ name: 'a', series: 0 }, { name: 'b', series: 1 }], 0, 700, 10).height;
    expect(legend([{ name: 'a'.repeat(60), series: 0 }, { name: 'b'.repeat(60), series: 1 }], 0, 700, 10).height).toBe(2 * short);
  });
});
