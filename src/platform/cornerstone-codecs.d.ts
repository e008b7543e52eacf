/** The scripts of the DICOM decoders come without types; browser-codecs.ts says what they are. */
declare module '@cornerstonejs/codec-openjpeg/decodewasmjs';
declare module '@cornerstonejs/codec-charls/decodewasmjs';
declare module '@cornerstonejs/codec-openjph/wasmjs';
