// SPDX-License-Identifier: Apache-2.0
/** What others build on: the codes, the names of the checks, and that the library runs in a browser. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'node:test';

const shared = join(import.meta.dirname, '..', '..', '..', '..', 'shared');

function literals(name: string): string[] {
  const source = readFileSync(join(shared, 'attestation', 'check.ts'), 'utf8');
  const text = new RegExp(`export type ${name} =([^;]*);`).exec(source)?.[1] ?? '';
  return [...text.matchAll(/['`]([^'`]+)['`]/g)].map((match) => match[1] ?? '');
}

test('the codes and checks of attestation are these', () => {
  assert.deepEqual(literals('EvidenceCode'), [
    'COSE_MALFORMED', 'DOCUMENT_MALFORMED', 'CERTIFICATE_MALFORMED', 'ROOT_UNKNOWN', 'CHAIN_INVALID', 'CERTIFICATE_TIME', 'SIGNATURE_INVALID', 'TIMESTAMP_OUTSIDE',
    'IDENTITY_MISMATCH', 'STATEMENT_MALFORMED', 'STATEMENT_MISMATCH',
  ]);
  assert.deepEqual(literals('ExpectationCode'), ['DOCUMENT_STALE', 'DEBUG_ENCLAVE', 'PCR_MISMATCH', 'DOCUMENTS_MISMATCH', 'NONCE_MISMATCH', 'FLAGS_SET', 'CHANNEL_MISMATCH']);
  assert.deepEqual(literals('CheckName'), [
    'format', 'document', 'certificates', 'root', 'chain', 'validity', 'signature', 'timestamp', 'identity', 'freshness', 'debug', 'release', 'pcr${number}', 'documents',
    'nonce', 'statement', 'flags', 'channel',
  ]);
  assert.deepEqual(literals('Optional'), ['release', 'documents', 'nonce', 'statement', 'channel']);
});

/** All files that one imports, by whatever way. */
function reach(file: string, seen: Map<string, string>): Map<string, string> {
  if (seen.has(file)) return seen;
  const text = readFileSync(file, 'utf8');
  seen.set(file, text);
  for (const [, from = ''] of text.matchAll(/(?:from|import\() ?'(\.[^']+)'/g)) reach(resolve(file, '..', from), seen);
  return seen;
}

test('the library reaches no Node module and no Node global, so that browsers run it', () => {
  const seen = new Map<string, string>();
  for (const file of readdirSync(join(shared, 'attestation'))) reach(join(shared, 'attestation', file), seen);
  assert.ok(seen.size > 20);
  for (const [file, text] of seen) {
    const code = text.replace(/\/\*[^]*?\*\/|\/\/[^\n]*/g, '');
    assert.deepEqual(code.match(/['"]node:|\b(Buffer|process|require|__dirname|setImmediate)\b *[.([]/g), null, file);
    for (const [, from = ''] of text.matchAll(/from '([^.'][^']*)'/g)) assert.match(from, /^@noble\/hashes\//, file);
  }
});

test('the library takes the time as an argument: it has no clock', () => {
  const seen = reach(join(shared, 'attestation', 'verify.ts'), new Map());
  for (const [file, text] of seen) assert.doesNotMatch(text, /Date\.now|new Date\(\)|performance\./, file);
});
