/** docs/RESULTS.md, made of the results of one or more experiments and of the measurement on real scans: nothing in it is written by hand. */
import { presets } from '../../model/index.ts';
import { isPhantom } from './experiment-config.ts';
import type { ArmResult, Estimate, ExperimentResults, Range } from './results.ts';

/** Arms that the table of labels shows beside the baseline, where they were run. */
const LABEL_ARMS = ['jpeg@10', 'jpeg', 'ct-lite@10', 'ct-lite'];

const GROUPS: Record<ArmResult['group'], string> = {
  core: 'The comparison',
  ablation: 'FAST without one of its terms, and otherwise weighed',
  quality: 'Other inputs and qualities',
  heads: 'Other heads of as many parameters',
};

const three = (value: number): string => value.toFixed(3);
const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
const percent = (value: number): string => `${value < 0 ? '−' : ''}${Math.abs(100 * value).toFixed(1)} %`;
const range = (interval: Range | null, format: (value: number) => string): string => (interval ? `[${format(interval.low)}, ${format(interval.high)}]` : '–');
const estimate = (value: Estimate | null, format: (value: number) => string): string => (value ? `${format(value.value)} ${range(value.interval, format)}` : '–');
const count = (value: number): string => Math.round(value).toLocaleString('en');
const mega = (value: number): string => (value >= 1e9 ? `${(value / 1e9).toFixed(1)} G` : value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : `${(value / 1e3).toFixed(1)} k`);
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
const excludesZero = ({ interval }: Estimate): boolean => interval !== null && (interval.low > 0 || interval.high < 0);

/** Names of the plots of an experiment, as files beside the page. */
export const plotFiles = (name: string): { bytes: string; quality: string; labels: (arm: string) => string } => ({
  bytes: `${name}-auroc-by-bytes.svg`,
  quality: `${name}-auroc-by-quality.svg`,
  labels: (arm) => `${name}-labels-${arm.replace('@', '-q')}.svg`,
});

/** Arms whose forest plot stands in the page. */
export function forestArms({ arms }: ExperimentResults): string[] {
  return ['ct-lite', 'jpeg@10'].filter((id) => arms.some(({ arm, relativeLoss }) => arm === id && relativeLoss));
}

/**
 * @param plots folder of the plots as seen from the page
 * @param realScans what stands under "Real scans"; the section is left out where there is none
 */
export function resultsPage(experiments: readonly ExperimentResults[], plots: string, realScans: readonly string[] = []): string {
  const parts = [
    '# Results',
    'Made by `ct-lite experiment-page` from the JSON files in `bench/results/`; a test compares. Do not edit by hand.',
    experiments.some(({ cohort }) => cohort.phantom)
      ? '**The scans of these experiments are phantoms, drawn by this software, and the models are small and trained for minutes. The figures say how the methods compare on such pictures. They say nothing about patients, and none of them can be set beside the paper\'s.**'
      : '',
    howToRead(),
    ...experiments.map((results) => experimentSection(results, plots)),
    realScans.length ? ['## Real scans', ...realScans].join('\n\n') : '',
  ];
  return `${parts.filter(Boolean).join('\n\n')}\n`;
}

function howToRead(): string {
  return [
    'How to read them. Every arm is a student that starts from the same random weights, those of its seed, and takes the same number of optimiser steps on the same batches',
    '[O]; the arm `teacher` takes more. Without FAST all steps are contrastive; with FAST the first ones are FAST alone, so that an arm pays for its distillation with contrastive steps. FAST\'s',
    'teacher is the finished run of the same seed of arm `teacher`, or of the baseline where there is none; its own training is not counted. An arm is trained and measured at one JPEG quality. *AUROC*: mean over the labels and the seeds on the test',
    'split, with a 95 % interval by bootstrap over patients; *seeds*: the lowest and highest seed. *Loss*: (baseline − arm) / baseline, paired by scan and seed, with a 95 % interval',
    'over patients and seeds; few seeds make it somewhat too narrow. Above zero is worse than the baseline. *Heads*: parameters of both projection heads. *MACs*: of the encoder and the heads for one volume, by formula.',
    '*Bytes*: of a volume as the arm reads it. *Error*: its root mean squared difference from the uncompressed volume. *Step*: median seconds of an optimiser step on the machine named, which did other work besides; *GPU*: most memory in buffers while training.',
  ].join('\n');
}

function experimentSection(results: ExperimentResults, plots: string): string {
  const { name, arms, claims } = results;
  const files = plotFiles(name);
  const groups = (Object.keys(GROUPS) as ArmResult['group'][]).filter((group) => arms.some((arm) => arm.group === group));
  const qualities = new Set(arms.map(({ quality }) => quality).filter((quality) => quality !== null));
  return [
    `## Experiment \`${name}\``,
    facts(results),
    '### Claims',
    table(['Claim', 'Verdict', 'Numbers'], claims.map(({ claim, verdict, numbers }) => [claim, `**${verdict}**`, numbers])),
    ...groups.map((group) => `### ${GROUPS[group]}\n\n${armTable(arms.filter((arm) => arm.group === group || arm.arm === 'baseline'))}`),
    `![Mean AUROC against bytes a volume](${plots}/${files.bytes})`,
    qualities.size > 1 ? `![Mean AUROC against JPEG quality](${plots}/${files.quality})` : '',
    '### Labels',
    labelTable(results),
    labelSentences(results),
    ...forestArms(results).map((arm) => `![AUROC of ${arm} less the baseline's, by label](${plots}/${files.labels(arm)})`),
  ].filter(Boolean).join('\n\n');
}

function facts({ command, adapter, config, runs, cohort, startedAt, updatedAt, software, rawBytesPerVolume }: ExperimentResults): string {
  const { train, preset, seeds, quality } = config;
  const { shape, spacingMm } = presets[preset].grid;
  const source = isPhantom(config.cohort) ? `phantoms of seed ${config.cohort.seed}, each label in at least ${percent(config.cohort.prevalenceFloor)} of the scans, findings ${config.cohort.severity ? `all of severity ${config.cohort.severity}` : 'of drawn severity'}` : cohort.name;
  const lines = [
    `Command: \`${command}\` (version ${software}, ${startedAt.slice(0, 10)} to ${updatedAt.slice(0, 10)}).`,
    `Adapter: ${adapter.line.replace(/^adapter: /, '')}${adapter.kind === 'software' ? '; a software GPU: seconds say nothing about a real one' : ''}.`,
    `Model: preset \`${preset}\`, input ${shape.join('×')} voxels of ${spacingMm.map((mm) => Number(mm.toFixed(2))).join('×')} mm, ${count(rawBytesPerVolume)} bytes in 16 bits.`,
    `Cohort: ${source}; ${cohort.scans.train} training, ${cohort.scans.validation} validation and ${cohort.scans.test} test scans of ${cohort.patients.train}, ${cohort.patients.validation} and ${cohort.patients.test} patients.`,
    `Training: ${train.steps} steps of ${train.virtualBatch ?? train.batch} volumes, with FAST the first ${train.fastSteps} of them FAST alone; learning rate ${train.learningRate}, in FAST ${train.fastLearningRate}; FAST's weight beside SigLIP ${train.fastWeight}; seeds ${seeds.join(', ')}; JPEG quality ${quality} where none is named.${train.teacherSteps === undefined ? '' : ` FAST's teacher is the uncompressed baseline trained for ${train.teacherSteps} steps (\`teacher\`).`}`,
  ];
  if (runs.done < runs.planned) lines.push(`**Not complete: ${runs.done} of ${runs.planned} runs are done; arms have fewer seeds where \`seeds\` says so.**`);
  return lines.map((line) => `- ${line}`).join('\n');
}

function armTable(arms: readonly ArmResult[]): string {
  return table(
    ['Arm', 'AUROC', 'Seeds', 'Loss', 'Encoder', 'Heads', 'MACs', 'Bytes', 'Error', 'Step', 'GPU'],
    arms.map(({ arm, title, meanAuroc, spread, seeds, relativeLoss, parameters, macs, bytesPerVolume, errorHu, secondsAStep, peakGpuBytes }) => [
      `${title} (\`${arm}\`)`,
      estimate(meanAuroc, three),
      seeds.length > 1 ? `${three(spread.low)}–${three(spread.high)} (${seeds.length})` : '1 seed',
      arm === 'baseline' ? '–' : estimate(relativeLoss, percent),
      count(parameters.encoder), count(parameters.heads), `${mega(macs.encoder)} + ${mega(macs.heads)}`, count(bytesPerVolume), `${errorHu.toFixed(1)} HU`, `${secondsAStep.toFixed(2)} s`, `${(peakGpuBytes / 2 ** 20).toFixed(0)} MiB`,
    ]),
  );
}

function labelTable({ labels, arms }: ExperimentResults): string {
  const baseline = arms.find(({ arm }) => arm === 'baseline');
  const others = LABEL_ARMS.flatMap((id) => arms.filter(({ arm }) => arm === id));
  return table(
    ['Label', 'Test scans', 'Baseline AUROC', ...others.map(({ arm }) => `\`${arm}\` less baseline`)],
    labels.map(({ label, positives, negatives }, at) => [
      label, `${positives}+ ${negatives}−`, estimate(baseline?.labels[at]?.auroc ?? null, three),
      ...others.map((arm) => {
        const difference = arm.labels[at]!.difference;
        const text = estimate(difference, signed);
        return difference && excludesZero(difference) ? `**${text}**` : text;
      }),
    ]),
  );
}

/** What the table shows at a glance, counted and not judged. */
function labelSentences({ labels, arms }: ExperimentResults): string {
  return LABEL_ARMS.flatMap((id) => arms.filter(({ arm }) => arm === id)).map(({ arm, title, labels: own }) => {
    const named = (sign: 1 | -1): string => own.flatMap(({ difference }, at) => (difference && excludesZero(difference) && Math.sign(difference.value) === sign ? [`${labels[at]!.label} (${signed(difference.value)})`] : [])).join(', ') || 'none';
    return `- \`${arm}\` (${title}), labels whose interval excludes zero: below the baseline ${named(-1)}; above it ${named(1)}. One in twenty would do so by chance.`;
  }).join('\n');
}
