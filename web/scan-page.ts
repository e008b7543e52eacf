/** "Look at a scan": the viewer, compression, and what a model finds. */
import { LABELS } from '../src/data/labels.ts';
import { byId, chosen, element, fillList, formatBytes, messageOf, say } from './dom.ts';
import { acceptDrops, chosenFiles } from './given-files.ts';
import type { CheckpointSource, CompressedScan, CompressionGrid, GivenFile, GivenScan, LoadedCheckpoint, OpenedScan, Prediction, RunSummary, ScanMethods } from './protocol.ts';
import { WorkerClient } from './rpc.ts';
import type { PlaneName, Viewer, WindowName } from './viewer.ts';

/** A scan that is read for longer hangs in a decoder, in ms. */
const mostReading = 5 * 60_000;

/** Slices that a key moves by. */
const KEY_STEPS: Record<string, number> = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };

const NO_MODEL = 'No model is loaded. Open a checkpoint, one of your runs here, or the demo.';
const PHANTOM_MODEL = 'This model has seen only drawn chests, which this software invents. Of a scan of a person its scores say nothing.';

const millimetres = (values: readonly number[]): string => values.map((value) => Number(value.toPrecision(3))).join(' × ');

export class ScanPage {
  private readonly worker = new WorkerClient<ScanMethods, never>(new URL('scan-worker.js', import.meta.url), 'scan', { most: { open: mostReading }, onLost: () => this.forget() });
  private readonly canCompute: boolean;
  private viewer: Viewer | null = null;
  private scan: OpenedScan | null = null;
  private prediction: Prediction | null = null;
  private model: LoadedCheckpoint | null = null;
  /** The compression that was asked for last; others that end meanwhile are not shown. */
  private wanted = 0;
  private examples = 0;

  /** @param canCompute false where the page has no WebGPU: scans are then shown and compressed, not read. */
  constructor(canCompute: boolean) {
    this.canCompute = canCompute;
    const fileInput = byId<HTMLInputElement>('file-input');
    const folderInput = byId<HTMLInputElement>('folder-input');
    byId('choose-file').addEventListener('click', () => fileInput.click());
    byId('choose-folder').addEventListener('click', () => folderInput.click());
    byId('open-another').addEventListener('click', () => fileInput.click());
    byId('open-phantom').addEventListener('click', () => void this.open({ kind: 'phantom', seed: this.examples++ }));
    for (const input of [fileInput, folderInput]) {
      input.addEventListener('change', () => {
        const files = chosenFiles(input);
        input.value = '';
        this.openFiles(files);
      });
    }
    acceptDrops(byId('scan-panel'), (files) => this.openFiles(files), (error) => say(byId('scan-message'), messageOf(error)));
    this.bindViewer();
    this.bindCompression();
    this.bindModel();
  }

  /** Runs in this browser that have a model which can read a scan. */
  offerRuns(runs: readonly RunSummary[]): void {
    const select = byId<HTMLSelectElement>('run-model');
    const ready = runs.filter(({ steps }) => steps > 0);
    select.hidden = ready.length === 0;
    select.replaceChildren(element('option', { value: '' }, 'A run in this browser…'), ...ready.map(({ id, cohort, steps }) => element('option', { value: id }, `${cohort}, ${steps} steps, ${id}`)));
  }

  private openFiles(files: GivenFile[]): void {
    const checkpoint = files.length === 1 && files[0]!.file.name.endsWith('.safetensors') ? files[0]!.file : null;
    if (checkpoint) void this.load({ kind: 'file', file: checkpoint });
    else void this.open({ kind: 'files', files });
  }

  private async open(given: GivenScan): Promise<void> {
    say(byId('scan-message'), null);
    say(byId('scan-busy'), given.kind === 'phantom' ? 'Drawing a chest…' : 'Reading the scan…');
    try {
      const scan = await this.worker.call('open', { scan: given });
      [this.scan, this.prediction] = [scan, null];
      const isFirst = byId('workbench').hidden;
      byId('workbench').hidden = false;
      byId('scan-drop').hidden = true;
      byId('offers').hidden = true;
      this.describe(scan);
      // The control that had the focus is gone with the drop area.
      if (isFirst) byId('scan-title').focus();
      this.showFindings();
      await this.show(scan);
      await this.compress();
    } catch (error) {
      say(byId('scan-message'), messageOf(error));
    } finally {
      say(byId('scan-busy'), null);
    }
  }

  private describe({ name, shape, spacingMm, fileBytes, rawBytes, warnings }: OpenedScan): void {
    byId('scan-title').textContent = name;
    fillList(byId('scan-facts'), [
      ['Slices, rows, columns', shape.join(' × ')],
      ['Spacing in mm', millimetres(spacingMm)],
      ['File', formatBytes(fileBytes)],
      ['As 16-bit voxels', formatBytes(rawBytes)],
    ]);
    const list = byId('scan-warnings');
    list.hidden = warnings.length === 0;
    list.replaceChildren(...warnings.map((warning) => element('li', {}, warning)));
  }

  private async show(scan: OpenedScan): Promise<void> {
    byId('raw-caption').textContent = 'Original';
    byId('jpeg-caption').textContent = 'JPEG';
    try {
      if (!this.viewer) {
        const { Viewer: Opened } = await import('./viewer.ts');
        this.viewer = await Opened.open(byId<HTMLCanvasElement>('raw-canvas'), byId<HTMLCanvasElement>('jpeg-canvas'), (...position) => this.showPosition(...position));
      }
      await this.viewer.show(scan.nifti, null);
      this.viewer.setPlane(chosen('plane') as PlaneName);
      this.showPosition(...this.viewer.position());
    } catch (error) {
      say(byId('scan-message'), `The pictures cannot be shown (${messageOf(error)}); the viewer needs WebGL 2: switch hardware acceleration on. Compression and findings work without it.`);
    }
  }

  /** The worker is gone, with the scan and the model that it held. */
  private forget(): void {
    [this.scan, this.prediction, this.model] = [null, null, null];
    this.showFindings();
    byId('model-line').textContent = NO_MODEL;
    byId<HTMLSelectElement>('grid').options[1]!.disabled = true;
  }

  private showPosition(slice: number, slices: number): void {
    const slider = byId<HTMLInputElement>('slice');
    slider.max = String(slices);
    slider.value = String(slice);
    slider.setAttribute('aria-valuetext', `${slice} of ${slices}`);
    byId('slice-output').textContent = `${slice} of ${slices}`;
  }

  private bindViewer(): void {
    byId('window-choice').addEventListener('change', () => this.viewer?.setWindow(chosen('window') as WindowName));
    byId('plane-choice').addEventListener('change', () => {
      this.viewer?.setPlane(chosen('plane') as PlaneName);
      if (this.viewer) this.showPosition(...this.viewer.position());
    });
    byId<HTMLInputElement>('slice').addEventListener('input', ({ target }) => {
      this.viewer?.moveTo(Number((target as HTMLInputElement).value));
      if (this.viewer) this.showPosition(...this.viewer.position());
    });
    const views = byId('views');
    // The viewer has keys of its own, such as V and C, that would leave the controls beside it behind.
    for (const type of ['keydown', 'keyup'] as const) views.addEventListener(type, (event) => event.stopPropagation(), { capture: true });
    views.addEventListener(
      'keydown',
      (event) => {
        const step = KEY_STEPS[event.key];
        if (step === undefined || !this.viewer) return;
        event.preventDefault();
        this.viewer.moveTo(this.viewer.position()[0] + step);
        this.showPosition(...this.viewer.position());
      },
      { capture: true },
    );
    byId<HTMLInputElement>('heat-toggle').addEventListener('change', () => void this.showHeat());
  }

  private async showHeat(): Promise<void> {
    const { checked } = byId<HTMLInputElement>('heat-toggle');
    await this.viewer?.showHeat(checked && this.prediction ? this.prediction.heatNifti : null);
  }

  private bindCompression(): void {
    const slider = byId<HTMLInputElement>('quality');
    slider.addEventListener('input', () => (byId('quality-output').textContent = slider.value));
    for (const control of [slider, byId('grid')]) control.addEventListener('change', () => void this.compress());
  }

  private get quality(): number {
    return Number(byId<HTMLInputElement>('quality').value);
  }

  /** Compresses as the controls say. Of several asked for in a row, those that were overtaken are not begun. */
  private async compress(): Promise<void> {
    if (!this.scan) return;
    const asked = ++this.wanted;
    const { scan } = this;
    say(byId('scan-busy'), 'Compressing…');
    try {
      // Lets a quick run over the slider pass by.
      await new Promise((resolve) => setTimeout(resolve, 120));
      if (asked !== this.wanted) return;
      const grid = byId<HTMLSelectElement>('grid').value as CompressionGrid;
      const result = await this.worker.call('compress', { quality: this.quality, grid });
      if (asked !== this.wanted || scan !== this.scan) return;
      await this.showCompressed(result, grid);
    } catch (error) {
      say(byId('scan-message'), messageOf(error));
    } finally {
      if (asked === this.wanted) say(byId('scan-busy'), null);
    }
  }

  private async showCompressed(result: CompressedScan, grid: CompressionGrid): Promise<void> {
    const { quality, rawBytes, jpegBytes, psnrDb, ssim, shape } = result;
    fillList(byId('compression-facts'), [
      ['Before', formatBytes(rawBytes)],
      ['JPEG', formatBytes(jpegBytes)],
      ['Smaller', `${(rawBytes / jpegBytes).toFixed(1)}×`],
      ['PSNR', psnrDb === null ? 'equal' : `${psnrDb.toFixed(1)} dB`],
      ['SSIM', ssim?.toFixed(4) ?? '–'],
    ], true);
    byId('raw-caption').textContent = grid === 'model' ? `What the model reads, ${shape.join(' × ')}` : 'Original';
    byId('jpeg-caption').textContent = `JPEG, quality ${quality}`;
    const heat = byId<HTMLInputElement>('heat-toggle').checked;
    await this.viewer?.show(grid === 'model' ? result.rawNifti : this.scan!.nifti, result.jpegNifti);
    if (heat) await this.showHeat();
    if (this.viewer) this.showPosition(...this.viewer.position());
  }

  private bindModel(): void {
    const input = byId<HTMLInputElement>('model-input');
    byId('choose-model').addEventListener('click', () => input.click());
    input.addEventListener('change', () => {
      const [file] = input.files ?? [];
      input.value = '';
      if (file) void this.load({ kind: 'file', file });
    });
    byId('demo-model').addEventListener('click', () => void this.load({ kind: 'demo' }));
    byId<HTMLSelectElement>('run-model').addEventListener('change', ({ target }) => {
      const { value } = target as HTMLSelectElement;
      if (value) void this.load({ kind: 'run', id: value });
    });
    byId('predict').addEventListener('click', () => void this.predict());
    byId<HTMLFormElement>('ask-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.ask();
    });
    for (const id of ['choose-model', 'demo-model', 'run-model']) byId<HTMLButtonElement>(id).disabled = !this.canCompute;
    byId('model-line').textContent = this.canCompute ? NO_MODEL : 'Findings need WebGPU, which this browser does not offer; see above.';
  }

  private async load(source: CheckpointSource): Promise<void> {
    say(byId('model-message'), null);
    say(byId('predict-busy'), 'Loading the model…');
    try {
      this.model = await this.worker.call('loadCheckpoint', { source });
      this.prediction = null;
      this.showFindings();
      const { name, preset, steps, totalSteps, quality, adapter, phantom } = this.model;
      byId('model-line').textContent = `${name}${phantom ? ', trained on drawn chests' : ''}: size ${preset}, ${steps} of ${totalSteps} steps, for JPEG ${quality}. Computed on ${adapter}.`;
      byId<HTMLSelectElement>('grid').options[1]!.disabled = false;
    } catch (error) {
      say(byId('model-message'), messageOf(error));
    } finally {
      say(byId('predict-busy'), null);
    }
  }

  private showFindings(): void {
    byId<HTMLButtonElement>('predict').disabled = !this.scan || !this.model;
    byId('findings').hidden = this.prediction === null;
    const toggle = byId<HTMLInputElement>('heat-toggle');
    toggle.disabled = this.prediction === null;
    if (!this.prediction) toggle.checked = false;
    say(byId('answer'), null);
    say(byId('phantom-caution'), this.model?.phantom ? PHANTOM_MODEL : null);
    if (!this.prediction) return;
    const { probabilities, quality, seconds, warnings } = this.prediction;
    say(byId('findings-note'), [`Read as JPEG ${quality} in ${seconds.toFixed(1)} s.`, ...warnings].join(' '));
    const rows = LABELS.map((label, at) => ({ label, probability: probabilities[at]! })).sort((a, b) => b.probability - a.probability);
    byId('findings-list').replaceChildren(
      ...rows.map(({ label, probability }) => {
        const fill = element('i');
        fill.style.width = `${100 * probability}%`;
        const bar = element('span', { className: 'bar' }, fill);
        bar.setAttribute('aria-hidden', 'true');
        return element('li', {}, element('span', {}, label), bar, element('output', {}, probability.toFixed(3)));
      }),
    );
  }

  private async predict(): Promise<void> {
    say(byId('model-message'), null);
    say(byId('predict-busy'), 'The model reads the scan…');
    const button = byId<HTMLButtonElement>('predict');
    button.disabled = true;
    try {
      this.prediction = await this.worker.call('predict', { quality: this.quality });
      this.showFindings();
      await this.showHeat();
    } catch (error) {
      say(byId('model-message'), messageOf(error));
    } finally {
      button.disabled = !this.scan || !this.model;
      say(byId('predict-busy'), null);
    }
  }

  private async ask(): Promise<void> {
    const text = byId<HTMLInputElement>('ask-text').value;
    try {
      const { statement, probability, similarity, unknownWords } = await this.worker.call('ask', { text });
      const unknown = unknownWords.length ? ` The model has never met ${unknownWords.map((word) => `“${word}”`).join(', ')}: take the score as a guess.` : '';
      say(byId('answer'), `“${statement}” scores ${probability.toFixed(3)} against its opposite (similarity ${similarity.toFixed(3)}).${unknown}`);
    } catch (error) {
      say(byId('answer'), messageOf(error));
    }
  }
}
