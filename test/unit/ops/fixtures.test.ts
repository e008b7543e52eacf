import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';

const root = new URL('../../../', import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), 'utf8');

/** Ops that need no PyTorch fixture, each with its reason. */
const exceptions: Record<string, string> = {
  lossScaleStep: 'rules rather than arithmetic, those of torch.amp.GradScaler: test/gpu/ops/loss-scale.test.ts has them from its documentation',
};

/** The ops that each file of src/autograd/ops exports. */
const opsByStem = new Map<string, string[]>();
for (const [, names, stem] of text('src/autograd/ops/index.ts').matchAll(/^export \{([^}]*)\} from '\.\/(.+)\.ts';/gm)) {
  const exported = names!.split(',').map((name) => name.trim()).filter((name) => typeof (ops as Record<string, unknown>)[name] === 'function');
  opsByStem.set(stem!, [...(opsByStem.get(stem!) ?? []), ...exported]);
}

const fixtureStems = readdirSync(new URL('test/fixtures/ops/', root)).map((file) => file.replace(/\.json$/, ''));

/** Ops that the fixture `stem` is of: those that its cases name, as `op` or by their own name, or else the only op of the file with its stem. */
function opsOf(stem: string): string[] {
  const cases = Object.entries(JSON.parse(text(`test/fixtures/ops/${stem}.json`)) as Record<string, { op?: string }>);
  const own = opsByStem.get(stem) ?? [];
  const saysOp = cases.some(([, { op }]) => op !== undefined);
  return [...cases.map(([name, { op }]) => op ?? name), ...(own.length === 1 && !saysOp ? own : [])];
}

it('every op has a PyTorch fixture', () => {
  const all = [...opsByStem.values()].flat();
  expect(all.toSorted(), 'the index is read whole').toEqual(Object.keys(ops).filter((name) => typeof (ops as Record<string, unknown>)[name] === 'function').toSorted());
  const covered = new Set(fixtureStems.flatMap(opsOf));
  expect(all.filter((op) => !covered.has(op)).toSorted(), 'ops without a fixture: add a case to test/reference/*.py').toEqual(Object.keys(exceptions).toSorted());
});

it('every fixture is made by a script and read by a test', () => {
  const scripts = readdirSync(new URL('test/reference/', root)).filter((file) => file.endsWith('.py')).map((file) => text(`test/reference/${file}`)).join('\n');
  const tests = readdirSync(new URL('test/gpu/', root), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts')).map((file) => text(`test/gpu/${file}`));
  const readers = tests.filter((test) => /readOpFixtures|expectContrastiveFixture|fixtures\/ops\//.test(test)).join('\n');
  const names = (source: string, stem: string): boolean => new RegExp(`["'/{,\\s]${stem}["'.,}]`).test(source);
  expect(fixtureStems.filter((stem) => !names(scripts, stem)), 'fixtures that no script makes').toEqual([]);
  expect(fixtureStems.filter((stem) => !readers.includes(`'${stem}'`) && !readers.includes(`fixtures/ops/${stem}.json`)), 'fixtures that no test reads').toEqual([]);
});
