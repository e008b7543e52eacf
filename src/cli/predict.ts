/** `ct-lite predict SCAN`: scores of the 18 findings for one scan, and a report with what was read and attended to. */
import { basename } from 'node:path';
import { Command } from 'commander';
import { encode as encodePng } from 'fast-png';
import { noGrad, type Engine } from '../autograd/index.ts';
import { decodeScan, GREY_VALUES, jpegRoundTrip, LABELS, scanId } from '../data/index.ts';
import type { CtLite, Preset } from '../model/index.ts';
import { initNodeCodecs } from '../platform/node-dicom-codecs.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { openNodeScan } from '../platform/node-scan.ts';
import { embedVolumes, encodePrompts, scoreLabels, uploadVolumes, type VolumeValues } from '../train/index.ts';
import { openNodeEngine } from './cohort-session.ts';
import { openCheckpoint, openCtClip, requireModelFlags, withCtClipFlags, type OpenModel } from './open-model.ts';
import { wholeNumber } from './options.ts';
import { renderPrediction } from './predict-report.ts';
import { findCheckpoint } from './run-folder.ts';
import { packageVersion } from './versions.ts';

interface PredictFlags {
  checkpoint?: string;
  ctClip?: string;
  tokenizer?: string;
  series?: string;
  out?: string;
  json?: boolean;
  heatMap?: string;
  quality?: number;
  adapter?: string;
}

export function predictCommand(): Command {
  const command = new Command('predict')
    .description('scores of the 18 findings for one scan: NIfTI, a DICOM folder or .zip, a JPEG volume. Not a medical device')
    .argument('<scan>', 'scan.nii.gz, a folder or .zip of DICOM slices, or a JPEG volume; told apart by content')
    .option('--checkpoint <path>', 'checkpoint.safetensors or a run folder');
  return withCtClipFlags(command)
    .option('--series <uid>', 'SeriesInstanceUID, where the DICOM holds several; default the largest axial one')
    .option('--out <folder>', 'write a report with thumbnails (SCAN.html) and the scores (SCAN.json) there')
    .option('--json', 'print JSON')
    .option('--heat-map <png>', 'write a picture: slices with the attention of the pooling laid over them; not of CT-CLIP')
    .option('--quality <n>', 'JPEG quality the scan is compressed to first; default that of the run, and of CT-CLIP none', wholeNumber(1, 100))
    .option('--adapter <name>', 'swiftshader, lavapipe, or a part of the adapter\'s name')
    .action(runPredict);
}

async function runPredict(scan: string, flags: PredictFlags): Promise<void> {
  requireModelFlags('predict', flags);
  if (flags.checkpoint === undefined && flags.ctClip === undefined) throw new Error('predict: needs --checkpoint, or --ct-clip and --tokenizer');
  if (flags.ctClip !== undefined && flags.heatMap !== undefined) throw new Error('predict: --heat-map draws the attention of the pooling, and CT-CLIP has none; leave it out');
  if (flags.heatMap !== undefined && !/\.png$/i.test(flags.heatMap)) throw new Error(`predict: --heat-map ${flags.heatMap}: the picture is a PNG; give a name that ends in .png`);
  const file = flags.ctClip ?? (await findCheckpoint(flags.checkpoint!));
  initNodeCodecs();
  // Before the adapter is opened: a path that is wrong ends at once.
  const content = await openNodeScan(scan);
  const { engine, line } = await openNodeEngine(flags.adapter);
  process.stderr.write(`${line}\n`);
  try {
    const model = flags.ctClip === undefined ? await openOwn(engine, file, flags.quality) : await openCtClip(engine, flags);
    const { grid, antialias } = model.input;
    const decoded = await decodeScan(content, scan, grid, { antialias, keepVolume: flags.out !== undefined, ...(flags.series !== undefined && { series: flags.series }) });
    const { values, format } = decoded;
    const warnings = [...model.warnings, ...decoded.warnings];
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
    const { quality } = model;
    // A JPEG volume is what the student expects; anything else is compressed as in training. CT-CLIP's input is not compressed.
    const isGiven = quality === null || (format === 'jpeg-volume' && flags.quality === undefined);
    const input: VolumeValues = isGiven ? (decoded.grey ?? Float32Array.from(values)) : await jpegRoundTrip(values, grid.shape, quality);
    const [embedding] = await embedVolumes(engine, model.model, input, grid.shape);
    const scores = Array.from(scoreLabels(embedding!, await encodePrompts(model.model, model.tokenizer)));
    const heatMap = model.lite && (flags.heatMap || flags.out) ? await heatMapPng(engine, model.lite, input, grid.shape) : null;
    // The scores are worth having where the picture cannot be written.
    const failure = flags.heatMap === undefined ? null : await nodeFiles.writeFile(flags.heatMap, heatMap!).then(() => null, (error: Error) => error);
    const picture = failure ? null : (flags.heatMap ?? null);
    const findings = Object.fromEntries(LABELS.map((label, index) => [label, scores[index]]));
    const json = `${JSON.stringify({ scan, format, checkpoint: file, model: model.description, preset: model.preset, quality, warnings, findings, heatMap: picture, notice: 'not a medical device' }, null, 2)}\n`;
    const facts = [['Format', format], ['Checkpoint', file], ['Model', model.description], ['CT-Lite', packageVersion('ct-lite') ?? 'unknown']] as const;
    const page = flags.out === undefined ? null : renderPrediction({ scan: basename(scan), volume: decoded.volume!, warnings, scores, heatMap, facts });
    const report = page === null ? null : await writeReport(flags.out!, scanId(basename(scan)), page, json);
    if (flags.json) {
      process.stdout.write(json);
      if (failure) throw failure;
      return;
    }
    for (const [index, label] of LABELS.entries()) {
      const bar = '█'.repeat(Math.round(scores[index]! * 30));
      process.stdout.write(`${label.padEnd(36)} ${scores[index]!.toFixed(3)} ${bar}\n`);
    }
    process.stdout.write('Scores of a research model, not calibrated and not for diagnosis.\n');
    if (picture !== null) process.stdout.write(`heat map: ${picture}\n`);
    if (report !== null) process.stdout.write(`report: ${report}\n`);
    if (failure) throw failure;
  } finally {
    engine.destroy();
  }
}

function openOwn(engine: Engine, file: string, quality: number | undefined): Promise<OpenModel> {
  return openCheckpoint(engine, file, { kind: 'student', quality }, ' yet (only the teacher stage has run); resume the run first');
}

/** Gives the path of the page. Named after the scan, so that a folder takes the reports of many. */
async function writeReport(folder: string, name: string, page: string, json: string): Promise<string> {
  await nodeFiles.makeDirectory(folder);
  const path = nodeFiles.join(folder, `${name}.html`);
  await nodeFiles.writeFile(path, new TextEncoder().encode(page));
  await nodeFiles.writeFile(nodeFiles.join(folder, `${name}.json`), new TextEncoder().encode(json));
  return path;
}

const tile = 256; // pixels a side of each slice in the picture
const tilesInRow = 4;

/**
 * One slice a token layer, grey, with the mean attention of the heads over it in red: nothing at or below the volume's mean, full
 * at its largest, or at twice the mean where that is more, so that a model that looks everywhere alike paints nothing.
 */
async function heatMapPng(engine: Engine, model: CtLite, input: VolumeValues, shape: Preset['grid']['shape']): Promise<Uint8Array> {
  const [depth, height, width] = shape;
  const [t, h, w] = model.vision.grid;
  const attention = await engine.scope(async () => (await noGrad(() => model.vision.forward(uploadVolumes(engine, input, [1, 1, ...shape])).attention).toArray()) as Float32Array);
  const heads = attention.length / (t * h * w);
  const heat = Float32Array.from({ length: t * h * w }, (_, n) => Array.from({ length: heads }, (_, head) => attention[head * t * h * w + n]!).reduce((sum, value) => sum + value, 0));
  const mean = heat.reduce((sum, value) => sum + value, 0) / heat.length;
  const full = Math.max(2 * mean, heat.reduce((most, value) => Math.max(most, value), 0));
  const rows = Math.ceil(t / tilesInRow);
  const picture = new Uint8Array(rows * tile * tilesInRow * tile * 3);
  for (let layer = 0; layer < t; layer++) {
    const z = Math.min(depth - 1, Math.floor(((layer + 0.5) * depth) / t));
    for (let y = 0; y < tile; y++) {
      for (let x = 0; x < tile; x++) {
        const voxel = input[(z * height + Math.floor((y * height) / tile)) * width + Math.floor((x * width) / tile)]!;
        const grey = ((input instanceof Uint8Array ? GREY_VALUES[voxel]! : voxel) + 1) * 127.5;
        const attended = bilinear(heat, layer * h * w, h, w, ((y + 0.5) / tile) * h - 0.5, ((x + 0.5) / tile) * w - 0.5);
        const strength = Math.max(0, attended - mean) / (full - mean);
        const at = ((Math.floor(layer / tilesInRow) * tile + y) * tilesInRow * tile + (layer % tilesInRow) * tile + x) * 3;
        picture[at] = Math.min(255, grey + 200 * strength);
        picture[at + 1] = grey * (1 - 0.6 * strength);
        picture[at + 2] = grey * (1 - 0.6 * strength);
      }
    }
  }
  return encodePng({ width: tilesInRow * tile, height: rows * tile, channels: 3, depth: 8, data: picture });
}

function bilinear(values: Float32Array, start: number, rows: number, columns: number, y: number, x: number): number {
  const [y0, x0] = [Math.max(0, Math.min(rows - 1, Math.floor(y))), Math.max(0, Math.min(columns - 1, Math.floor(x)))];
  const [y1, x1] = [Math.min(rows - 1, y0 + 1), Math.min(columns - 1, x0 + 1)];
  const [fy, fx] = [Math.max(0, Math.min(1, y - y0)), Math.max(0, Math.min(1, x - x0))];
  const at = (row: number, column: number): number => values[start + row * columns + column]!;
  return (at(y0, x0) * (1 - fx) + at(y0, x1) * fx) * (1 - fy) + (at(y1, x0) * (1 - fx) + at(y1, x1) * fx) * fy;
}
