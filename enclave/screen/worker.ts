// SPDX-License-Identifier: Apache-2.0
/** Entry of the screening thread: takes a flat list of kinds and texts, answers with the highest score. It is ended from outside. */
import { parentPort } from 'node:worker_threads';
import { cached, judge } from './judge.ts';
import { createLexicalScorer } from './lexical.ts';
import type { ScreenKind } from './types.ts';
import { readWeights } from './weights.ts';

function kindOf(name: string): ScreenKind {
  return name === 'tool' ? 'tool' : 'result';
}

function serve(port: NonNullable<typeof parentPort>): void {
  const scorer = cached(createLexicalScorer(readWeights()));
  port.on('message', (flat: readonly string[]) => {
    const texts = flat.flatMap((kind, index) => (index % 2 === 0 ? [{ kind: kindOf(kind), text: flat[index + 1] ?? '' }] : []));
    port.postMessage(judge(texts, scorer));
  });
  port.postMessage(scorer.model);
}

if (parentPort !== null) serve(parentPort);
