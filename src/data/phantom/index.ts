/**
 * The phantom cohort: seeded chest CT volumes with the 18 labels drawn as they look, and reports that agree with them.
 * Everything is invented; nothing comes from a patient. Only label frequencies follow CT-RATE (prevalence.ts).
 */
export { generatePhantomCase, scanCount, VALIDATION_INDEX, withoutFinding } from './case.ts';
export type { PhantomCase, PhantomFinding, PhantomOptions } from './case.ts';
export { phantomCases, phantomCohort, phantomVolumeName, phantomVolumePath, renderPhantomFile } from './cohort.ts';
export type { PhantomCohortOptions, PhantomFile, PhantomFileEntry, PhantomVolumeKey } from './cohort.ts';
export { CT_RATE_PREVALENCE, DEFAULT_PREVALENCE_FLOOR, labelPrevalence } from './prevalence.ts';
export { renderPhantom } from './render.ts';
export type { PhantomVolume, RenderOptions } from './render.ts';
export type { PhantomReport } from './report.ts';
