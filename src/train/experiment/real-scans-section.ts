/** "Real scans" of docs/RESULTS.md: FAST on patches, measured on scans that were not trained on. */
import { patchInputName, type PatchArm, type PatchFastResult, type PatchMeasure, type PatchStatistic } from '../patch-fast-result.ts';

const ARM_TITLES: Record<PatchArm, string> = {
  compression: 'without FAST: the teacher itself on the compressed patch',
  fast: 'with FAST, student from the teacher\'s weights',
  untrained: 'a random student, the floor',
  'fast-fresh': 'with FAST, student from random weights',
};
/** What the page shows of `PATCH_MEASURES`; the JSON has the rest. */
const SHOWN: [PatchMeasure, string][] = [
  ['featureCosine', 'Feature cosine (higher is better)'], ['centredCosine', 'Feature cosine less the teacher\'s mean token (higher is better)'], ['gram', 'Gram distance (lower is better)'],
];

const digits = (value: number): string => (Math.abs(value) < 0.001 && value !== 0 ? value.toExponential(1) : value.toFixed(4)).replace('-', '−');
const statistic = (value: PatchStatistic | null): string => (value ? `${digits(value.mean)}${value.interval ? ` [${digits(value.interval.low)}, ${digits(value.interval.high)}]` : ''}` : '–');

/** Measures whose plots stand in the page: those that FAST from the teacher's weights was measured by. */
export function realScansPlots({ differences }: PatchFastResult): PatchMeasure[] {
  const cells = differences.filter(({ arm }) => arm === 'fast').flatMap((each) => each.cells);
  return SHOWN.map(([measure]) => measure).filter((measure) => cells.some(({ measures }) => measures[measure]));
}
export const realScansPlotFile = (name: string, measure: PatchMeasure): string => `${name}-${measure.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.svg`;

/**
 * @param name of the result's file without its ending
 * @param plots folder of the plots as seen from the page
 */
export function realScansSection(name: string, result: PatchFastResult, plots: string): string {
  const { settings, teacher, scans, folds, arms, differences, errorHu, resampled, adapter } = result;
  const patients = new Set(scans.map(({ patientId }) => patientId)).size;
  const inputs = settings.inputs;
  const table = (measure: PatchMeasure): string => {
    const row = (title: string, cells: PatchFastResult['arms'][number]['cells']): string => `| ${title} | ${inputs.map((input) => statistic(cells.find((cell) => cell.input === input)?.measures[measure] ?? null)).join(' | ')} |`;
    return [
      `| Arm | ${inputs.map(patchInputName).join(' | ')} |`,
      `| --- | ${inputs.map(() => '---').join(' | ')} |`,
      ...arms.map(({ arm, cells }) => row(ARM_TITLES[arm], cells)),
      ...differences.filter(({ arm }) => arm === 'fast').map(({ cells }) => row('with FAST less without it', cells)),
    ].join('\n');
  };
  return [
    `### \`${name}\`: Gram matrices ${settings.style === 'gatys' ? 'of all tokens alike (Gatys)' : 'weighted by attention'}`,
    `Command: \`npx ct-lite experiment-scans --data <folder of scans>${settings.style === 'gatys' ? ' --style gatys' : ''}\`. Self-supervised FAST on patches of ${settings.shape.join('×')} voxels of ${settings.spacingMm.join('×')} mm from ${scans.length} scans of ${patients} patients, without labels or reports: the teacher reads the raw patch, the student its JPEG. Measured patient by patient on scans that were not trained on (${folds.length} folds), against the teacher on the raw patch. Students take ${settings.steps} steps of ${settings.batch} patches. Teacher: ${teacher.name}. Adapter: ${adapter.replace(/^adapter: /, '')}. Intervals (95 %) draw ${resampled === 'patients' ? 'patients' : 'patches within these scans, and so speak of these scans alone: the patients are too few to draw'}.`,
    `Root mean squared error of the patches themselves: ${errorHu.map(({ input, mean }) => `${patchInputName(input)} ${mean.toFixed(1)} HU`).join(', ')}.`,
    ...SHOWN.flatMap(([measure, title]) => [`#### ${title}`, table(measure), ...(realScansPlots(result).includes(measure) ? [`![${title}: with FAST less without it](${plots}/${realScansPlotFile(name, measure)})`] : [])]),
  ].join('\n\n');
}
