// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, JsonValue } from '../../../../shared/json/value.ts';
import { jsonObject } from '../../../../shared/json/value.ts';
import {
  eraOfRequest,
  META_CLIENT_CAPABILITIES,
  META_CLIENT_INFO,
  META_LOG_LEVEL,
  META_PROTOCOL_VERSION,
  readMeta,
  requestedRevision,
} from '../../../../shared/mcp/meta.ts';

const withMeta = (meta: JsonValue): JsonObject => jsonObject({ _meta: meta });
const nothing = { protocolVersion: null, clientCapabilities: null, clientInfo: null, logLevel: null, progressToken: null };

test('the metadata of a modern request is read', () => {
  const capabilities = jsonObject({ sampling: jsonObject({}) });
  const info = jsonObject({ name: 'c' });
  const meta = jsonObject({
    [META_PROTOCOL_VERSION]: '2026-07-28',
    [META_CLIENT_CAPABILITIES]: capabilities,
    [META_CLIENT_INFO]: info,
    [META_LOG_LEVEL]: 'debug',
    progressToken: 'p',
  });
  assert.deepEqual(readMeta(withMeta(meta)), {
    protocolVersion: '2026-07-28',
    clientCapabilities: capabilities,
    clientInfo: info,
    logLevel: 'debug',
    progressToken: 'p',
  });
  assert.equal(requestedRevision(withMeta(meta)), '2026-07-28');
});

test('what is missing or of the wrong type reads as null', () => {
  assert.deepEqual(readMeta(undefined), nothing);
  assert.deepEqual(readMeta(jsonObject({})), nothing);
  assert.deepEqual(readMeta(withMeta([])), nothing);
  const wrong = jsonObject({
    [META_PROTOCOL_VERSION]: 1,
    [META_CLIENT_CAPABILITIES]: [],
    [META_CLIENT_INFO]: 'c',
    [META_LOG_LEVEL]: null,
    progressToken: 1.5,
  });
  assert.deepEqual(readMeta(withMeta(wrong)), nothing);
});

test('a version of the wrong type does not pass for none', () => {
  assert.equal(requestedRevision(withMeta(jsonObject({ [META_PROTOCOL_VERSION]: 20260728 }))), '');
  assert.equal(requestedRevision(withMeta(jsonObject({ [META_PROTOCOL_VERSION]: null }))), '');
  assert.equal(requestedRevision(withMeta(jsonObject({ progressToken: 1 }))), null);
  assert.equal(requestedRevision(undefined), null);
});

for (const key of [META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL]) {
  test(`a request whose metadata has ${key} is modern, whatever its value`, () => {
    for (const value of ['x', null, 1]) assert.equal(eraOfRequest(withMeta(jsonObject({ [key]: value }))), 'modern');
  });
}

test('a request without such metadata is legacy', () => {
  const related = jsonObject({ progressToken: 1, 'io.modelcontextprotocol/related-task': jsonObject({ taskId: 't' }) });
  for (const params of [undefined, jsonObject({}), withMeta(null), withMeta('x'), withMeta([META_PROTOCOL_VERSION]), withMeta(related)]) {
    assert.equal(eraOfRequest(params), 'legacy');
  }
});
