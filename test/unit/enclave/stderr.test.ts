// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { relayStderr, sanitiseLine } from '../../../enclave/host/stderr.ts';

async function relayed(chunks: readonly string[], scrub = (text: string): string => text, now = (): number => 0): Promise<string[]> {
  const stream = new PassThrough();
  const lines: string[] = [];
  const done = relayStderr(stream, { scrub, now, write: (line) => lines.push(line) });
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await done;
  return lines;
}

test('lines come out whole, however they are cut into chunks', async () => {
  assert.deepEqual(await relayed(['one\ntw', 'o\n', '\n', 'three']), ['one', 'two', 'three']);
});

test('nothing that could hide or rewrite text on a terminal comes out', () => {
  for (const [input, output] of [
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b]0;title\u0007text', 'text'],
    ['a\rb\u0008c', 'abc'],
    ['x\u202ey\u200bz\u{e0041}', 'xyz'],
    ['tab\tstays', 'tab\tstays'],
    ['\u009b31mC1', '31mC1'],
  ] as const) assert.equal(sanitiseLine(input), output);
});

test('a long line is cut, and its end is not shown in case the cut split a secret', async () => {
  const [line = ''] = await relayed([`${'a'.repeat(4000)}SECRET-PART${'b'.repeat(5000)}\nnext\n`]);
  assert.equal(line.endsWith(' (cut)'), true);
  assert.equal(line.includes('SECRET'), false);
});

test('a flood is counted instead of shown', async () => {
  let asked = 0;
  const scrubbed: string[] = [];
  const scrub = (text: string): string => {
    scrubbed.push(text);
    return text;
  };
  const now = (): number => ((asked += 1) > 149 ? 1000 : 0);
  const lines = await relayed([...Array.from({ length: 150 }, (_unused, at) => `${at}\n`), 'later\n'], scrub, now);
  assert.equal(lines.length, 103);
  assert.equal(scrubbed.length, 102, 'no time is spent on what is not shown');
  assert.match(lines[100] ?? '', /^\(49 lines left out: more than 100 in one second\)$/);
});

test('a flood right before the end is counted', async () => {
  const lines = await relayed(Array.from({ length: 130 }, (_unused, at) => `${at}\n`));
  assert.deepEqual([lines.length, lines.at(-1)], [101, '(30 lines left out: more than 100 in one second)']);
});

test('what the policy redacts is redacted', async () => {
  assert.deepEqual(await relayed(['key SECRET\n'], (text) => text.replaceAll('SECRET', '[X]')), ['key [X]']);
});

test('a private key on several lines is left out, and what follows is not', async () => {
  const key = ['-----BEGIN RSA PRIVATE KEY-----', 'MIIEow', 'AAAAB3', '-----END RSA PRIVATE KEY-----', 'after'];
  const lines = await relayed([key.join('\n')], (text) => text.replace(/-----BEGIN.*/, '[REDACTED]'));
  assert.deepEqual(lines, ['[REDACTED]', 'after']);
});
