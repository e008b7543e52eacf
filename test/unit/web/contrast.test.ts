/** The page's colours, light and dark, by WCAG 2.1 AA: texts 4.5 to 1 on what they stand on, edges of controls, bars and curves 3 to 1. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync(new URL('../../../web/style.css', import.meta.url), 'utf8');

/** Custom properties of the page's two `:root` rules: the dark one changes the light one's. */
function themes(): Record<'light' | 'dark', Map<string, string>> {
  const [light, dark] = [...css.matchAll(/:root\s*\{([^}]*)\}/g)].map(([, body]) => new Map([...body!.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/gi)].map(([, name, value]) => [name!, value!] as const)));
  return { light: light!, dark: new Map([...light!, ...dark!]) };
}

/** Relative luminance (WCAG 2.1). */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
}

const texts: [colour: string, ground: string][] = [
  ['ink', 'page'], ['ink', 'card'], ['soft', 'page'], ['soft', 'card'], ['accent-ink', 'accent'], ['warn', 'warn-wash'], ['warn', 'card'],
];
const shapes: [colour: string, ground: string][] = [
  ['edge', 'card'], ['edge', 'page'], ['accent', 'card'], ['accent', 'page'], ['bar', 'grid'], ['bar', 'card'],
  ...[1, 2, 3, 4, 5, 6].map((n): [string, string] => [`series-${n}`, 'card']),
  ['series-1', 'grid'], ['series-2', 'grid'],
];

describe('contrast', () => {
  it('is what WCAG computes', () => {
    expect(contrast('#000000', '#ffffff')).toBeCloseTo(21, 6);
    // Its own example of a grey that just passes.
    expect(contrast('#767676', '#ffffff')).toBeCloseTo(4.54, 2);
  });

  it.each(['light', 'dark'] as const)('of the %s theme is enough', (theme) => {
    const colours = themes()[theme];
    const of = (a: string, b: string): number => contrast(colours.get(a)!, colours.get(b)!);
    const short = [...texts.map(([a, b]) => [a, b, 4.5] as const), ...shapes.map(([a, b]) => [a, b, 3] as const)].filter(([a, b, least]) => !(of(a, b) >= least));
    expect(short.map(([a, b, least]) => `--${a} on --${b}: ${of(a, b).toFixed(2)}, ${least} is needed`)).toEqual([]);
  });

  it('is of every colour but those of plain surfaces and lines', () => {
    const measured = new Set([...texts, ...shapes].flat());
    expect([...themes().light.keys()].filter((name) => !measured.has(name))).toEqual(['line', 'warn-line']);
  });
});
