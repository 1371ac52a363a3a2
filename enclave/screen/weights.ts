// SPDX-License-Identifier: Apache-2.0
/** The file of weights that comes with the product, beside this module. */
import { readFileSync } from 'node:fs';
import { Unavailable } from '../../shared/errors.ts';
import { decodeModel } from './model.ts';
import type { Model } from './model.ts';

export const WEIGHTS: URL = new URL('./lexical.model', import.meta.url);

/** Reads the weights; throws Unavailable with FILE_UNREADABLE. Blocks: it is called once, at the start of a thread. */
export function readWeights(file: URL = WEIGHTS): Model {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new Unavailable('FILE_UNREADABLE', 'the weights of the classifier cannot be read', 'install mcp-bastion anew: enclave/screen/lexical.model is missing', cause);
  }
  const model = decodeModel(bytes);
  if (model === null) throw new Unavailable('FILE_UNREADABLE', 'the weights of the classifier are damaged', 'install mcp-bastion anew, or make them anew with npm run train:lexical');
  return model;
}
