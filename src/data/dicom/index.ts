/** DICOM CT series, from folders and ZIPs, to volumes in HU. */
export { initDicomCodecs } from './codecs.ts';
export type { WasmCodec, WasmCodecLoader, WasmCodecModule } from './codecs.ts';
export { isDicom } from './dicom-file.ts';
export { listDicomSeries, readDicom } from './read-dicom.ts';
export type { DicomSeriesSummary, DicomSource, ReadDicomOptions } from './read-dicom.ts';
export { dicomFolderSources, dicomZipSources, isDicomName, mayBeDicom, zipEntries } from './sources.ts';
