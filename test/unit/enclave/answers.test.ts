// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { judgeResult } from '../../../enclave/exchange/answers.ts';
import type { Pending } from '../../../enclave/exchange/conversation.ts';
import { loadPolicy } from '../../../enclave/policy/compile.ts';
import { isJsonObject, jsonObject } from '../../../shared/json/value.ts';
import { parseStrictJson } from '../../../shared/json/parse.ts';

const policy = await loadPolicy(new TextEncoder().encode("version: 1\nmethods: {'*': allow}\n"));

function verdictOn(method: string, era: 'legacy' | 'modern', json: string): string {
  const parsed = parseStrictJson(new TextEncoder().encode(json), { foldedKeys: 'allow', idLexeme: 'integer' });
  assert.ok(parsed.ok && isJsonObject(parsed.value));
  const pending = { method, shownMethod: method, era } as Pending;
  const verdict = judgeResult({ policy, server: 'peer', principal: 'local' }, pending, jsonObject({ result: parsed.value }), parsed.value);
  return verdict.kind === 'refuse' ? verdict.code : verdict.kind;
}

const SAMPLING = '"inputRequests":{"a":{"method":"sampling/createMessage","params":{}}}';

for (const [method, era, more, expected] of [
  ['server/discover', 'modern', '"supportedVersions":["2026-07-28"]', 'forward'],
  ['initialize', 'legacy', '"protocolVersion":"2025-11-25"', 'forward'],
  ['server/discover', 'modern', `"supportedVersions":["2026-07-28"],${SAMPLING}`, 'RESULT_INVALID'],
  ['server/discover', 'modern', '"supportedVersions":["2026-07-28"],"resultType":"input_required","requestState":"s"', 'RESULT_INVALID'],
  ['initialize', 'legacy', `"protocolVersion":"2025-11-25",${SAMPLING}`, 'RESULT_INVALID'],
  ['tools/list', 'modern', `"resultType":"input_required",${SAMPLING}`, 'RESULT_INVALID'],
  ['tools/call', 'modern', `"resultType":"input_required",${SAMPLING}`, 'forward'],
] as const) {
  test(`an answer to ${method} with ${more}: ${expected}`, () => assert.equal(verdictOn(method, era, `{${more}}`), expected));
}
