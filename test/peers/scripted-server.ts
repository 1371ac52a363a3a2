// SPDX-License-Identifier: Apache-2.0
/**
 * A stdio peer that does exactly what a test tells it, hostile or not. The script (SCRIPT, a JSON file) maps a method to
 * the raw lines that answer it; `$ID` in a line is the request's id as JSON. Every line it receives is appended to
 * WITNESS, so that a test can tell what reached the upstream.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

interface Script {
  /** Raw lines to write when the method arrives; `*` stands for any other request. */
  readonly [method: string]: readonly string[];
}

const script: Script = JSON.parse(readFileSync(process.env['SCRIPT'] ?? '', 'utf8'));
const witness = process.env['WITNESS'] ?? '';

function idAndMethod(line: string): { id: unknown; method: unknown } {
  try {
    const message: { id?: unknown; method?: unknown } = JSON.parse(line);
    return { id: message.id, method: message.method };
  } catch {
    return { id: undefined, method: undefined };
  }
}

/** `{"$repeat": ...}`-free way to make large lines: `$PAD<n>` becomes n letters. */
function expand(line: string, id: unknown): string {
  return line.replaceAll('$ID', JSON.stringify(id)).replaceAll(/\$PAD(\d+)/g, (_all, count: string) => 'x'.repeat(Number(count)));
}

const initialize =
  '{"jsonrpc":"2.0","id":$ID,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"scripted","version":"1"}}}';

createInterface(process.stdin).on('line', (line) => {
  if (witness !== '') appendFileSync(witness, `${line}\n`);
  const { id, method } = idAndMethod(line);
  if (typeof method !== 'string') return;
  let lines = script[method];
  if (lines === undefined && id !== undefined) lines = method === 'initialize' ? [initialize] : script['*'];
  for (const answer of lines ?? []) process.stdout.write(`${expand(answer, id)}\n`);
});
