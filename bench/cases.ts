/** Every case, in the order in which they are run and shown. */
import { benches as adamW } from './adam-w.bench.ts';
import { benches as attentionGram } from './attention-gram.bench.ts';
import { benches as attentionPool } from './attention-pool.bench.ts';
import { benches as blockTensorTrain } from './block-tensor-train.bench.ts';
import { benches as conv3d } from './conv3d.bench.ts';
import { benches as copies } from './copies.bench.ts';
import { benches as elementwise } from './elementwise.bench.ts';
import { benches as embedding } from './embedding.bench.ts';
import { benches as fast } from './fast.bench.ts';
import { benches as gradientNorm } from './gradient-norm.bench.ts';
import { benches as grids } from './grids.bench.ts';
import { benches as infoNceLoss } from './info-nce-loss.bench.ts';
import { benches as layerNorm } from './layer-norm.bench.ts';
import { benches as linear } from './linear.bench.ts';
import { benches as matmul } from './matmul.bench.ts';
import { benches as attention } from './scaled-dot-product-attention.bench.ts';
import { benches as sigLipLoss } from './sig-lip-loss.bench.ts';
import { benches as trainingStep } from './training-step.bench.ts';
import { benches as vectorQuantize } from './vector-quantize.bench.ts';

export const cases = [
  matmul, linear, conv3d, attention, attentionPool, blockTensorTrain, attentionGram, vectorQuantize, layerNorm, elementwise, copies, embedding, grids, fast, infoNceLoss, sigLipLoss, gradientNorm, adamW, trainingStep,
].flat();
