/** docs/RESULTS.md and its plots, from the JSON files of experiments: everything that the page is made of, by name. */
import { PATCH_FAST_FORMAT, type PatchFastResult } from '../patch-fast-result.ts';
import { plotAurocByBytes, plotAurocByQuality, plotLabelForest, plotPatchDifference } from './plots.ts';
import { realScansPlotFile, realScansPlots, realScansSection } from './real-scans-section.ts';
import { forestArms, plotFiles, resultsPage } from './results-page.ts';
import { RESULTS_FORMAT, RESULTS_VERSION, type ExperimentResults } from './results.ts';

export const PAGE_FILE = 'RESULTS.md';
/** Folder of the plots beside the page. */
export const PLOTS_FOLDER = 'results';

/**
 * @param sources JSON of `ct-lite experiment` and `ct-lite experiment-scans`, with the names of their files
 * @returns text by path, RESULTS.md first
 * @throws naming the file that is neither
 */
export function pageFiles(sources: readonly { name: string; json: string }[]): Map<string, string> {
  const experiments: ExperimentResults[] = [];
  const realScans: { name: string; result: PatchFastResult }[] = [];
  for (const { name, json } of sources) {
    const results = parse(name, json);
    if (results.format === PATCH_FAST_FORMAT) realScans.push({ name: name.replace(/\.json$/, ''), result: results as PatchFastResult });
    else experiments.push(results as ExperimentResults);
  }
  const files = new Map([[PAGE_FILE, resultsPage(experiments, PLOTS_FOLDER, realScans.map(({ name, result }) => realScansSection(name, result, PLOTS_FOLDER)))]]);
  const add = (file: string, svg: string): unknown => files.set(`${PLOTS_FOLDER}/${file}`, svg.endsWith('\n') ? svg : `${svg}\n`);
  for (const results of experiments) {
    const names = plotFiles(results.name);
    add(names.bytes, plotAurocByBytes(results));
    if (files.get(PAGE_FILE)!.includes(names.quality)) add(names.quality, plotAurocByQuality(results));
    for (const arm of forestArms(results)) add(names.labels(arm), plotLabelForest(results, arm));
  }
  for (const { name, result } of realScans) for (const measure of realScansPlots(result)) add(realScansPlotFile(name, measure), plotPatchDifference(result, measure));
  return files;
}

function parse(name: string, json: string): { format?: unknown; version?: unknown } {
  let results: { format?: unknown; version?: unknown } | null;
  try {
    results = JSON.parse(json) as { format?: unknown; version?: unknown } | null;
  } catch (cause) {
    throw new Error(`${name}: must hold JSON, it does not (${(cause as Error).message})`, { cause });
  }
  if (!results || (results.format !== RESULTS_FORMAT && results.format !== PATCH_FAST_FORMAT)) throw new Error(`${name}: is no result of ct-lite experiment or experiment-scans (its "format" is ${JSON.stringify(results?.format)}); give their results.json`);
  if (results.format === RESULTS_FORMAT && results.version !== RESULTS_VERSION) throw new Error(`${name}: has version ${JSON.stringify(results.version)}, this software reads ${RESULTS_VERSION}; make it again`);
  return results;
}
