/** Every case, in the order in which they are run and shown. */
import { benches as adamW } from './adam-w.bench.ts';
import { benches as attentionGram } from './attention-gram.bench.ts';
import { benches as attentionPool } from './attention-pool.bench.ts';
import { benches as blockTensorTrain } from './block-tensor-train.bench.ts';
import { benches as conv3d } from './conv3d.bench.ts';
import { benches as elementwise } from './elementwise.bench.ts';
import { benches as layerNorm } from './layer-norm.bench.ts';
import { benches as linear } from './linear.bench.ts';
import { benches as matmul } from './matmul.bench.ts';
import { benches as attention } from './scaled-dot-product-attention.bench.ts';
import { benches as sigLipLoss } from './sig-lip-loss.bench.ts';
import { benches as trainingStep } from './training-step.bench.ts';

export const cases = [matmul, linear, conv3d, attention, attentionPool, blockTensorTrain, attentionGram, layerNorm, elementwise, sigLipLoss, adamW, trainingStep].flat();
