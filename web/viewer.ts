/** Two linked pictures of a scan, original and compressed, by NiiVue (WebGL). Loaded with the first scan, not with the page. */
import { MULTIPLANAR_TYPE, Niivue, NVImage, SHOW_RENDER, SLICE_TYPE } from '@niivue/niivue';

/** Level and width in HU, as radiologists set them. */
export const WINDOWS = { lung: { level: -600, width: 1500 }, mediastinum: { level: 40, width: 400 }, bone: { level: 500, width: 2000 } } as const;
export type WindowName = keyof typeof WINDOWS;

const PLANES = { axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL, all: SLICE_TYPE.MULTIPLANAR } as const;
export type PlaneName = keyof typeof PLANES;
/** World axis (R, A, S) that the slider moves along; with all three planes shown, through the axial slices. */
const PLANE_AXIS: Record<PlaneName, 0 | 1 | 2> = { axial: 2, coronal: 1, sagittal: 0, all: 2 };

/** Attention in NIfTI values: below `cal_min` nothing is painted; a tint, so that the scan stays to be seen. */
const HEAT = { name: 'heat.nii', colormap: 'warm', cal_min: 200, cal_max: 1000, opacity: 0.35 };
/** NiiVue's number for it, which it does not export. */
const ZERO_TO_MAX_TRANSPARENT_BELOW_MIN = 1;

export class Viewer {
  private readonly raw: Niivue;
  private readonly jpeg: Niivue;
  private window: WindowName = 'lung';
  private plane: PlaneName = 'axial';
  /** What the original's picture was made of: the same again needs no upload. */
  private shown: Uint8Array | null = null;

  private constructor(raw: Niivue, jpeg: Niivue) {
    this.raw = raw;
    this.jpeg = jpeg;
  }

  /** @param onMove called with the number of the slice along the slider's axis, from 1, and how many there are. */
  static async open(rawCanvas: HTMLCanvasElement, jpegCanvas: HTMLCanvasElement, onMove: (slice: number, slices: number) => void): Promise<Viewer> {
    const make = async (canvas: HTMLCanvasElement): Promise<Niivue> => {
      const view = new Niivue({
        backColor: [0, 0, 0, 1], crosshairColor: [0.4, 0.75, 1, 0.5], crosshairWidth: 1.5, crosshairWidthUnit: 'mm', crosshairGap: 6, isRadiologicalConvention: true,
        dragAndDropEnabled: false, isColorbar: false, loadingText: '', logLevel: 'error', isOrientCube: false, multiplanarShowRender: SHOW_RENDER.NEVER,
        multiplanarLayout: MULTIPLANAR_TYPE.GRID, sliceType: SLICE_TYPE.AXIAL, fontSizeScaling: 0.5,
      });
      await view.attachToCanvas(canvas);
      return view;
    };
    const viewer = new Viewer(await make(rawCanvas), await make(jpegCanvas));
    const { raw, jpeg } = viewer;
    raw.broadcastTo([jpeg], { '2d': true, '3d': false });
    jpeg.broadcastTo([raw], { '2d': true, '3d': false });
    for (const view of [raw, jpeg]) view.onLocationChange = () => onMove(...viewer.position(view));
    return viewer;
  }

  /** Shows bytes of .nii files; `jpeg` null while it is still being made. The heat map of another scan goes away. */
  async show(raw: Uint8Array, jpeg: Uint8Array | null): Promise<void> {
    if (raw !== this.shown) await this.replace(this.raw, raw);
    this.shown = raw;
    if (jpeg) await this.replace(this.jpeg, jpeg);
    else this.clear(this.jpeg);
  }

  /** Lays attention over the original; null takes it away. */
  async showHeat(nifti: Uint8Array | null): Promise<void> {
    for (const old of this.raw.volumes.slice(1)) this.raw.removeVolume(old);
    if (nifti) {
      const image = await NVImage.loadFromUrl({ url: bufferOf(nifti), ...HEAT });
      image.colormapType = ZERO_TO_MAX_TRANSPARENT_BELOW_MIN;
      this.raw.addVolume(image);
    }
    this.raw.updateGLVolume();
  }

  setWindow(name: WindowName): void {
    this.window = name;
    for (const view of [this.raw, this.jpeg]) {
      const [volume] = view.volumes;
      if (!volume) continue;
      Object.assign(volume, limits(name));
      view.updateGLVolume();
    }
  }

  setPlane(name: PlaneName): void {
    this.plane = name;
    for (const view of [this.raw, this.jpeg]) view.setSliceType(PLANES[name]);
  }

  /** @param slice from 1, along the axis of the chosen plane; beyond the ends it is the first or last. */
  moveTo(slice: number): void {
    const [, slices] = this.position();
    const at = (Math.min(slices, Math.max(1, slice)) - 0.5) / slices;
    for (const view of [this.raw, this.jpeg]) {
      if (view.volumes.length === 0) continue;
      view.scene.crosshairPos[PLANE_AXIS[this.plane]] = at;
      view.drawScene();
    }
  }

  /** The slice's number from 1 along the slider's axis, and how many there are. */
  position(view: Niivue = this.raw): [slice: number, slices: number] {
    const axis = PLANE_AXIS[this.plane];
    const slices = view.volumes[0]?.dimsRAS?.[axis + 1] ?? 1;
    return [Math.min(slices, Math.floor(view.scene.crosshairPos[axis]! * slices) + 1), slices];
  }

  private async replace(view: Niivue, nifti: Uint8Array): Promise<void> {
    const image = await NVImage.loadFromUrl({ url: bufferOf(nifti), name: 'scan.nii', colormap: 'gray', trustCalMinMax: false, ...limits(this.window) });
    const fresh = view.volumes.length === 0;
    const position = [...view.scene.crosshairPos];
    this.clear(view);
    view.addVolume(image);
    Object.assign(image, limits(this.window));
    if (!fresh) position.forEach((value, axis) => (view.scene.crosshairPos[axis] = value));
    view.updateGLVolume();
  }

  private clear(view: Niivue): void {
    for (const old of [...view.volumes].reverse()) view.removeVolume(old);
    view.drawScene();
  }
}

function limits(name: WindowName): { cal_min: number; cal_max: number } {
  const { level, width } = WINDOWS[name];
  return { cal_min: level - width / 2, cal_max: level + width / 2 };
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
