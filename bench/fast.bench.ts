/** The terms of FAST (MODEL §4) but its Gram matrices: maps of energies and their distances. */
import { ops } from '../src/autograd/index.ts';
import { channelEnergyReference, energySoftmaxBackwardReference, energySoftmaxReference, mapDistanceReference, tokenEnergyBackwardReference, tokenEnergyReference } from '../src/model/fast-reference.ts';
import { opCase, type BenchCase } from './bench-case.ts';
import { wholeCheck } from './checks.ts';
import { traffic } from './traffic.ts';

type Tap = [name: string, batch: number, tokens: number, channels: number];

const taps: Tap[] = [
  ['tiny tap', 8, 256, 64],
  ['small tap', 1, 1728, 256],
  ['base tap', 1, 13824, 384],
];

/** `compute` of each batch element's stretch of every operand, one after another. */
function eachElement(batch: number, operands: readonly Float64Array[], compute: (...parts: Float64Array[]) => ArrayLike<number>): Float64Array {
  const cut = (array: Float64Array, at: number): Float64Array => array.subarray((at * array.length) / batch, ((at + 1) * array.length) / batch);
  return Float64Array.from(Array.from({ length: batch }, (_, at) => Array.from(compute(...operands.map((operand) => cut(operand, at))))).flat());
}

function tokenEnergy([name, batch, tokens, channels]: Tap): BenchCase {
  const size = batch * tokens * channels;
  return opCase({
    family: 'token-energy',
    name: `${name} ${batch}×${tokens}×${channels}`,
    inputs: { x: { shape: [batch, tokens, channels] } },
    run: ({ x }) => ops.tokenEnergy(x!),
    ...traffic(size, 2 * size),
    check: wholeCheck(
      ({ x }) => eachElement(batch, [x!], (part) => tokenEnergyReference(part!, tokens, channels)),
      ({ x }, dY) => ({ x: eachElement(batch, [x!, dY], (part, dE) => tokenEnergyBackwardReference(part!, dE!, tokens, channels)) }),
    ),
  });
}

function energySoftmax([name, batch, tokens]: Tap): BenchCase {
  const size = batch * tokens;
  const tau = 1;
  return opCase({
    family: 'energy-softmax',
    name: `${name} ${batch}×${tokens}`,
    inputs: { e: { shape: [batch, tokens], shift: 1 } },
    run: ({ e }) => ops.energySoftmax(e!, { tau }),
    ...traffic(2 * size, 4 * size),
    check: wholeCheck(
      ({ e }) => eachElement(batch, [e!], (part) => energySoftmaxReference(part!, tau)),
      ({ e }, dY) => ({ e: eachElement(batch, [e!, dY], (part, dP) => energySoftmaxBackwardReference(part!, energySoftmaxReference(part!, tau), dP!, tau)) }),
    ),
  });
}

function mapDistance([name, batch, tokens]: Tap): BenchCase {
  const size = batch * tokens;
  return opCase({
    family: 'map-distance',
    name: `${name} ${batch}×${tokens}`,
    inputs: { s: { shape: [batch, tokens], shift: 1 }, t: { shape: [batch, tokens], shift: 1, constant: true } },
    run: ({ s, t }) => ops.mapDistance(s!, t!),
    ...traffic(2 * size, 3 * size),
    check: wholeCheck(
      ({ s, t }) => eachElement(batch, [s!, t!], (a, b) => [mapDistanceReference(a!, b!).value]),
      ({ s, t }, dY) => ({ s: eachElement(batch, [s!, t!, dY], (a, b, dDistance) => mapDistanceReference(a!, b!).gradient.map((value) => value * dDistance![0]!)) }),
    ),
  });
}

/** ‖x − target‖² / ‖target‖² of the Gram matrices. */
function relativeDistance(name: string, batch: number, extent: number): BenchCase {
  const size = batch * extent * extent;
  const shape = [batch, extent, extent];
  const square = (x: Float64Array): number => x.reduce((sum, value) => sum + value * value, 0);
  const difference = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, at) => value - b[at]!);
  return opCase({
    family: 'relative-distance',
    name: `${name} ${shape.join('×')}`,
    inputs: { x: { shape }, target: { shape, constant: true } },
    run: ({ x, target }) => ops.relativeDistance(x!, target!),
    ...traffic(2 * size, 3 * size),
    check: wholeCheck(
      ({ x, target }) => eachElement(batch, [x!, target!], (a, b) => [square(difference(a!, b!)) / square(b!)]),
      ({ x, target }, dY) => ({
        x: eachElement(batch, [x!, target!, dY], (a, b, dDistance) => {
          const factor = (2 * dDistance![0]!) / square(b!);
          return difference(a!, b!).map((value) => factor * value);
        }),
      }),
    ),
  });
}

function channelEnergy([name, batch, tokens, channels]: Tap): BenchCase {
  const size = batch * tokens * channels;
  return opCase({
    family: 'channel-energy',
    name: `${name} ${batch}×${tokens}×${channels}`,
    inputs: { x: { shape: [batch, tokens, channels] } },
    run: ({ x }) => ops.channelEnergy(x!),
    ...traffic(size, 2 * size),
    check: wholeCheck(
      ({ x }) => eachElement(batch, [x!], (part) => channelEnergyReference(part!, tokens, channels)),
      ({ x }, dY) => ({ x: eachElement(batch, [x!, dY], (part, dE) => part!.map((value, at) => (2 / tokens) * value * dE![at % channels]!)) }),
    ),
  });
}

/** Σ p_n q_c (x − target)². */
function maskedAlignment([name, batch, tokens, channels]: Tap): BenchCase {
  const size = batch * tokens * channels;
  const shape = [batch, tokens, channels];
  const masked = ([x, target, p, q]: readonly Float64Array[], power: 1 | 2): Float64Array =>
    x!.map((value, at) => p![Math.floor(at / channels)]! * q![at % channels]! * (value - target![at]!) ** power);
  return opCase({
    family: 'masked-alignment',
    name: `${name} ${shape.join('×')}`,
    inputs: { x: { shape }, target: { shape, constant: true }, p: { shape: [batch, tokens], shift: 1, constant: true }, q: { shape: [batch, channels], shift: 1, constant: true } },
    run: ({ x, target, p, q }) => ops.maskedAlignment(x!, target!, p!, q!),
    ...traffic(2 * size, 3 * size),
    check: wholeCheck(
      ({ x, target, p, q }) => eachElement(batch, [x!, target!, p!, q!], (...parts) => [masked(parts, 2).reduce((sum, value) => sum + value, 0)]),
      ({ x, target, p, q }, dY) => ({ x: eachElement(batch, [x!, target!, p!, q!, dY], (...parts) => masked(parts, 1).map((value) => 2 * value * parts[4]![0]!)) }),
    ),
  });
}

/** The four terms of one tap, of each volume, as one loss. */
function weightedMean(name: string, batch: number): BenchCase {
  const weights = [1, 0.5, 0.5, 2];
  const names = ['a', 'b', 'c', 'd'];
  return opCase({
    family: 'weighted-mean',
    name: `${name} 4 of ${batch}`,
    inputs: Object.fromEntries(names.map((each) => [each, { shape: [batch], shift: 1 }])),
    run: (terms) => ops.weightedMean(names.map((each) => terms[each]!), weights),
    ...traffic(4 * batch, 4 * batch),
    check: wholeCheck(
      (terms) => Float64Array.of(names.reduce((sum, each, at) => sum + (weights[at]! * terms[each]!.reduce((total, value) => total + value, 0)) / batch, 0)),
      (_, dY) => Object.fromEntries(names.map((each, at) => [each, new Float64Array(batch).fill((weights[at]! * dY[0]!) / batch)])),
    ),
  });
}

export const benches: BenchCase[] = [
  ...taps.map(tokenEnergy), ...taps.map(channelEnergy), ...taps.map(energySoftmax), ...taps.map(mapDistance), ...taps.map(maskedAlignment),
  relativeDistance('tiny Gram', 8, 64), relativeDistance('small Gram', 1, 256), relativeDistance('base Gram', 1, 384), weightedMean('tiny terms', 8),
];
