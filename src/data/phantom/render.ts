/** A planned case to voxels: anatomy, findings in painting order, then the scanner. */
import { makeCanvas } from './canvas.ts';
import type { PhantomCase } from './case.ts';
import { paintBody, paintSkeleton, paintSoftOrgans } from './body.ts';
import { FINDING_KINDS, PAINT_ORDER } from './findings/index.ts';
import type { Phase, Scene } from './findings/index.ts';
import { growLungTree, paintBronchi, paintLungVessels } from './lung-tree.ts';
import { bloodHu, paintCentralAirways, paintGreatVessels, paintHeart } from './mediastinum.ts';
import { randomStream, STREAM } from './random.ts';
import { applyKernel } from './scanner.ts';
import { makeTexture } from './texture.ts';

/** [D, Y, X] Hounsfield units, D towards superior, Y towards posterior, X towards the patient's left. */
export interface PhantomVolume {
  hu: Int16Array;
  shape: [number, number, number];
  spacingMm: [number, number, number];
}

export interface RenderOptions {
  /** false leaves out the kernel's noise and point spread: the bare drawing. Default true. */
  scanner?: boolean;
}

/** Renders reconstruction 0 or 1 of a case. Depends on the case and the reconstruction only. */
export function renderPhantom(phantom: PhantomCase, reconstruction = 0, options: RenderOptions = {}): PhantomVolume {
  const { seed, index, scan, anatomy, acquisition } = phantom;
  const chosen = phantom.reconstructions[reconstruction];
  if (!chosen) throw new Error(`renderPhantom: ${phantom.scanId} has ${phantom.reconstructions.length} reconstruction(s), asked for number ${reconstruction}`);
  const canvas = makeCanvas(chosen.shape, chosen.spacingMm, acquisition.pose);
  const scene: Scene = {
    canvas, anatomy,
    texture: makeTexture(randomStream(seed, index, STREAM.texture)),
    tree: growLungTree(anatomy, randomStream(seed, index, STREAM.tree)),
    heartFactor: 1,
    airways: { extraWall: 0, dilatation: new Map(), cysts: [] },
  };
  const blood = bloodHu(acquisition.contrastHu);
  const findings = PAINT_ORDER.flatMap((label) => phantom.findings.filter((f) => f.label === label));
  const paint = (phase: Phase) => {
    for (const { label, shape } of findings) if (FINDING_KINDS[label].phase === phase) FINDING_KINDS[label].paint(scene, shape);
  };

  paint('setup');
  paintBody(canvas, anatomy, scene.texture, acquisition.contrastHu !== null);
  paintSoftOrgans(canvas, anatomy, acquisition.contrastHu !== null);
  paintSkeleton(canvas, anatomy);
  paint('air');
  paintLungVessels(canvas, scene.tree, blood.right);
  paint('tissue');
  paintBronchi(canvas, scene.tree, scene.airways);
  paint('detail');
  paint('sac');
  paintHeart(canvas, anatomy, scene.heartFactor, blood);
  paintGreatVessels(canvas, anatomy, blood);
  paintCentralAirways(canvas, scene.airways.extraWall);
  paint('last');
  if (options.scanner ?? true) {
    applyKernel(canvas, chosen.kernel, acquisition.doseNoise, randomStream(seed, index, STREAM.noise, scan, reconstruction));
  }
  return { hu: canvas.hu, shape: chosen.shape, spacingMm: chosen.spacingMm };
}
