/** "Fine-tune": settings, the run in progress with its curves, and the runs in this browser. */
import { byId, chosen, download, element, fillList, formatBytes, messageOf, say } from './dom.ts';
import { acceptDrops, chosenFiles } from './given-files.ts';
import { LiveChart } from './loss-chart.ts';
import { PRESET_STEPS, presetNeeds } from './preset-needs.ts';
import type { CohortChoice, GivenFile, NewPreset, RunOutcome, RunSettings, RunSummary, StartChoice, TrainingEvent, TrainingMethods } from './protocol.ts';
import type { StepRecord } from '../src/train/index.ts';
import { WorkerClient } from './rpc.ts';

/** Notes kept on the page; a cohort may have thousands. */
const mostNotes = 200;

/** What this browser offers for computing. */
export type Computing = 'on a GPU' | 'on the CPU' | 'not at all';

const OUTCOMES: Record<RunOutcome['outcome'], string> = { finished: 'Finished: the report is below', paused: 'Paused', stopped: 'Stopped and evaluated: the report is below' };
const STAGE_NAMES = { teacher: 'teacher', fast: 'distillation', align: 'student' };

export class TrainingPage {
  private readonly worker: WorkerClient<TrainingMethods, TrainingEvent>;
  private readonly onRuns: (runs: readonly RunSummary[]) => void;
  private readonly computing: Computing;
  private readonly lossChart = new LiveChart(byId('loss-chart'), [
    { name: 'scan against text (SigLIP)', colour: '--series-1', side: 'left' },
    { name: 'student against teacher (FAST, right axis)', colour: '--series-2', side: 'right' },
  ]);
  private readonly validationChart = new LiveChart(byId('validation-chart'), [{ name: 'mean AUROC', colour: '--series-4', side: 'left' }], [0, 1]);
  private cohortFiles: GivenFile[] = [];
  private startFile: File | null = null;
  private isRunning = false;
  private wasLost = false;

  constructor(computing: Computing, onRuns: (runs: readonly RunSummary[]) => void) {
    this.computing = computing;
    this.onRuns = onRuns;
    this.worker = new WorkerClient(new URL('training-worker.js', import.meta.url), 'training', { onEvent: (event) => this.on(event) });
    this.bindSettings();
    byId('pause').addEventListener('click', () => this.end('pause'));
    byId('stop').addEventListener('click', () => this.end('stop'));
    byId<HTMLButtonElement>('begin').disabled = !this.canCompute;
    // A run in progress would be cut off at its last checkpoint.
    addEventListener('beforeunload', (event) => {
      if (this.isRunning) event.preventDefault();
    });
    // What other tabs hold, and what they have done, is seen when one comes back to this tab.
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible' && !this.isRunning) void this.listRuns();
    });
    void this.listRuns();
  }

  private get canCompute(): boolean {
    return this.computing !== 'not at all';
  }

  /** Called where the host serves a demo model. */
  offerDemo(): void {
    byId('start-demo').hidden = false;
  }

  private bindSettings(): void {
    const form = byId<HTMLFormElement>('training-form');
    const update = (): void => {
      for (const sub of form.querySelectorAll<HTMLElement>('.sub')) sub.hidden = ![chosen('cohort'), chosen('start')].includes(sub.dataset.for ?? '');
      const isNew = chosen('start') === 'new';
      for (const radio of form.querySelectorAll<HTMLInputElement>('input[name=trainable]')) {
        radio.disabled = isNew;
        if (isNew) radio.checked = radio.value === 'all';
      }
      byId('trainable-note').hidden = !isNew;
      byId('preset-note').textContent = presetNeeds(this.preset, this.computing);
    };
    byId('preset').addEventListener('change', () => {
      for (const [name, value] of Object.entries(PRESET_STEPS[this.preset])) byId('training-form').querySelector<HTMLInputElement>(`input[name=${name}]`)!.value = String(value);
    });
    form.addEventListener('change', update);
    update();
    const cohortInput = byId<HTMLInputElement>('cohort-input');
    byId('choose-cohort').addEventListener('click', () => cohortInput.click());
    cohortInput.addEventListener('change', () => this.takeCohort(chosenFiles(cohortInput)));
    acceptDrops(byId('training-panel'), (files) => this.takeCohort(files), (error) => this.complain(error));
    const startInput = byId<HTMLInputElement>('start-input');
    byId('choose-start').addEventListener('click', () => startInput.click());
    startInput.addEventListener('change', () => {
      this.startFile = startInput.files?.[0] ?? null;
      byId('start-line').textContent = this.startFile?.name ?? '';
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.begin();
    });
  }

  private takeCohort(files: GivenFile[]): void {
    this.cohortFiles = files;
    const tables = files.filter(({ path }) => /\.csv$/i.test(path)).length;
    byId('cohort-line').textContent = `${files[0]?.path.split('/')[0] ?? 'nothing'}: ${files.length - tables} files, ${tables} CSV`;
    const radio = byId('training-form').querySelector<HTMLInputElement>('input[name=cohort][value=files]')!;
    radio.checked = true;
    radio.dispatchEvent(new Event('change', { bubbles: true }));
  }

  private get preset(): NewPreset {
    return byId<HTMLSelectElement>('preset').value as NewPreset;
  }

  private number(name: string): number {
    return byId('training-form').querySelector<HTMLInputElement>(`input[name=${name}]`)!.valueAsNumber;
  }

  private async begin(): Promise<void> {
    try {
      const cohort: CohortChoice = chosen('cohort') === 'phantom' ? { kind: 'phantom', patients: this.number('patients'), testPatients: this.number('testPatients') } : { kind: 'files', name: this.cohortFiles[0]?.path.split('/')[0] ?? '', files: this.cohortFiles };
      if (cohort.kind === 'files' && cohort.files.length === 0) throw new Error('Choose the folder with your scans first, or drop it on the page.');
      const start = this.start();
      const settings: RunSettings = {
        seed: this.number('seed'), steps: this.number('steps'), batch: this.number('batch'), checkpointEvery: this.number('checkpointEvery'),
        learningRate: null, trainable: chosen('trainable') as RunSettings['trainable'],
      };
      await this.follow(() => this.worker.call('begin', { cohort, start, settings }));
    } catch (error) {
      this.complain(error);
    }
  }

  private start(): StartChoice {
    const kind = chosen('start');
    if (kind === 'new') return { kind, preset: this.preset };
    if (kind === 'demo') return { kind };
    if (!this.startFile) throw new Error('Choose the checkpoint to start from first.');
    return { kind: 'file', file: this.startFile };
  }

  /** Keeps the page to a run until it ends, is paused, or fails. */
  private async follow(run: () => Promise<RunOutcome>): Promise<void> {
    this.setRunning(true);
    say(byId('training-message'), null);
    byId('notes-list').replaceChildren();
    byId('notes').hidden = true;
    let title = 'Stopped';
    try {
      const { outcome } = await run();
      title = OUTCOMES[outcome];
      // Listed before it is said: "the report is below" is true when it is read.
      this.isRunning = false;
      await this.listRuns();
    } catch (error) {
      this.isRunning = false;
      this.complain(error);
      void this.listRuns();
    }
    say(byId('training-busy'), null);
    this.setRunning(false);
    byId('live-title').textContent = title;
  }

  private setRunning(on: boolean): void {
    this.isRunning = on;
    byId<HTMLButtonElement>('begin').disabled = on || !this.canCompute;
    for (const id of ['pause', 'stop']) byId<HTMLButtonElement>(id).disabled = !on;
    if (on) {
      byId('live-title').textContent = 'Preparing';
      say(byId('training-busy'), 'Opening the graphics device…');
      byId('live-hint').hidden = true;
      // The button may stand below the fold, what it begins does not.
      scrollTo({ top: 0 });
    }
    // Afterwards the list, made anew, says which of them may go on: another tab may hold some.
    if (on) for (const button of document.querySelectorAll<HTMLButtonElement>('#runs-body [data-action=resume], #runs-body [data-action=remove]')) button.disabled = true;
  }

  private end(wish: 'pause' | 'stop'): void {
    for (const id of ['pause', 'stop']) byId<HTMLButtonElement>(id).disabled = true;
    say(byId('training-busy'), wish === 'pause' ? 'Finishing this step, then saving…' : 'Finishing this step, then evaluating…');
    void this.worker.call('end', { wish });
  }

  private complain(error: unknown): void {
    say(byId('training-message'), messageOf(error));
  }

  private note(text: string): void {
    const list = byId('notes-list');
    byId('notes').hidden = false;
    list.append(element('li', {}, text));
    if (list.childElementCount > mostNotes) list.firstElementChild!.remove();
  }

  private on(event: TrainingEvent): void {
    switch (event.kind) {
      case 'adapter':
        byId('adapter-line').textContent = `Computed on ${event.line}`;
        return;
      case 'progress':
        byId('live-title').textContent = event.title;
        say(byId('training-busy'), event.total > 1 ? `${event.title}: ${event.done} of ${event.total}` : `${event.title}…`);
        return;
      case 'begun':
        return this.showBegun(event);
      case 'step':
        return this.showStep(event);
      case 'validation':
        this.validationChart.add(event.globalStep, [event.meanAuroc]);
        byId('validation-line').textContent = event.meanAuroc === null ? 'Not measurable: among the validation scans no label has both classes.' : `${event.meanAuroc.toFixed(3)} after step ${event.globalStep}, of the ${event.stage === 'teacher' ? 'teacher on uncompressed scans' : 'student on JPEG'}.`;
        return;
      case 'lost':
        this.wasLost = true;
        say(byId('training-message'), 'The graphics device was lost. It is opened again, and the run goes on from its last checkpoint.');
        this.note(event.message);
        return;
      case 'note':
        this.note(event.text);
    }
  }

  private showBegun({ totalSteps, records }: Extract<TrainingEvent, { kind: 'begun' }>): void {
    say(byId('training-busy'), null);
    byId('live-title').textContent = 'Training';
    byId('charts').hidden = false;
    this.lossChart.clear(totalSteps);
    this.validationChart.clear(totalSteps);
    for (const record of records) {
      if (record.kind === 'step') this.lossChart.add(record.globalStep, lossesOf(record));
      else this.validationChart.add(record.globalStep, [record.meanAuroc]);
    }
    const progress = byId<HTMLProgressElement>('training-progress');
    progress.hidden = false;
    progress.max = totalSteps;
    progress.value = records.at(-1)?.globalStep ?? 0;
    fillList(byId('training-facts'), [['Step', `${progress.value} of ${totalSteps}`]], true);
    if (this.wasLost) {
      this.wasLost = false;
      say(byId('training-message'), `The graphics device was lost and opened again; the run went on from step ${progress.value}.`);
    }
  }

  private showStep({ record, totalSteps, stageSteps }: Extract<TrainingEvent, { kind: 'step' }>): void {
    const { globalStep, stage, step, losses, volumesPerSecond, gpuBytes } = record;
    this.lossChart.add(globalStep, lossesOf(record));
    byId<HTMLProgressElement>('training-progress').value = globalStep;
    fillList(byId('training-facts'), [
      ['Step', `${globalStep} of ${totalSteps}`],
      ['Stage', `${STAGE_NAMES[stage]} ${step}/${stageSteps}`],
      ['Loss', losses.loss!.toPrecision(4)],
      ['Scans/s', volumesPerSecond.toPrecision(3)],
      ['GPU memory', formatBytes(gpuBytes)],
    ], true);
  }

  private async listRuns(): Promise<void> {
    try {
      const runs = await this.worker.call('runs', {});
      byId('runs-none').hidden = runs.length > 0;
      byId('runs-table').hidden = runs.length === 0;
      byId('runs-body').replaceChildren(...runs.map((run) => this.runRow(run)));
      this.onRuns(runs);
      const { usage, quota } = await navigator.storage.estimate();
      byId('storage-line').textContent = usage === undefined || quota === undefined ? '' : `${formatBytes(usage)} of ${formatBytes(quota)} used`;
    } catch (error) {
      byId('runs-none').textContent = `This browser keeps no files for the page: ${messageOf(error)}`;
    }
  }

  private runRow(run: RunSummary): HTMLTableRowElement {
    const { id, startedAt, cohort, steps, totalSteps, finished, busy, bytes, hasCheckpoint, hasReport } = run;
    const begun = new Date(startedAt).toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'short' });
    const call = this.worker.call.bind(this.worker);
    const button = (action: string, text: string, work: () => Promise<unknown>, isOff = false): HTMLButtonElement => {
      const made = element('button', { className: 'small', disabled: isOff }, text);
      made.dataset.action = action;
      made.setAttribute('aria-label', `${text}: run of ${begun}`);
      made.addEventListener('click', () => work().catch((error: unknown) => this.complain(error)));
      return made;
    };
    const isHeld = this.isRunning || busy;
    const actions = element(
      'div',
      { className: 'buttons' },
      ...(finished ? [] : [button('resume', 'Go on', () => this.follow(() => call('resume', { id })), isHeld || !this.canCompute)]),
      button('checkpoint', 'Checkpoint', async () => download(await call('checkpoint', { id }), `${id}.safetensors`), !hasCheckpoint),
      button('report', 'Report', async () => download(await call('report', { id }), `${id}.html`), !hasReport),
      button('export', 'Run folder', async () => download(await call('exportRun', { id }), `${id}.zip`)),
      button('remove', 'Remove', () => this.remove(id, begun), isHeld),
    );
    const cells = [begun, cohort, `${steps} of ${totalSteps}${busy ? ' (in another tab)' : ''}`, formatBytes(bytes), actions];
    return element('tr', {}, ...cells.map((cell) => element('td', {}, cell)));
  }

  private async remove(id: string, begun: string): Promise<void> {
    if (!confirm(`Remove the run of ${begun} with its checkpoint? It cannot be brought back.`)) return;
    await this.worker.call('remove', { id });
    await this.listRuns();
  }
}

/** The values of the loss chart's curves. A stage with one loss has it as its total. */
function lossesOf({ stage, losses: { loss, sigLip, fast } }: StepRecord): (number | null)[] {
  if (stage === 'teacher') return [loss ?? null, null];
  return [sigLip ?? (stage === 'align' ? (loss ?? null) : null), fast ?? null];
}
