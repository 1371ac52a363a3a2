// SPDX-License-Identifier: Apache-2.0
/**
 * Surfaces that others build on, as frozen literals. A change here is a change for users: it belongs in the changelog.
 * What is expected is never imported from the source.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { denialError, malformedError, refuse } from '../../../enclave/exchange/verdict.ts';

const root = join(import.meta.dirname, '..', '..', '..');

function union(name: string): string[] {
  const source = readFileSync(join(root, 'shared', 'errors.ts'), 'utf8');
  const text = new RegExp(`export type ${name} =([^;]*);`).exec(source)?.[1] ?? '';
  return [...text.matchAll(/'([A-Z0-9_]+)'/g)].map((match) => match[1] ?? '');
}

test('the error codes are these', () => {
  assert.deepEqual(union('MalformedCode'), [
    'FRAME_TOO_LARGE', 'FRAME_UNTERMINATED', 'BOM', 'UTF8_INVALID', 'JSON_SYNTAX', 'JSON_TRAILING', 'JSON_DEPTH', 'JSON_NODES',
    'KEY_DUPLICATE', 'KEY_CASE_COLLISION', 'KEY_FORBIDDEN', 'INTEGER_UNSAFE', 'NUMBER_RANGE', 'SURROGATE_LONE',
    'ENVELOPE_INVALID', 'ENVELOPE_KEY', 'JSONRPC_VERSION', 'ID_INVALID', 'METHOD_INVALID', 'PARAMS_INVALID', 'BATCH_EMPTY',
    'BATCH_TOO_LARGE', 'BATCH_NOT_ALLOWED',
  ]);
  assert.deepEqual(union('DeniedCode'), [
    'TOOL_DENIED', 'TOOL_NOT_ALLOWED', 'TOOL_NOT_LISTED', 'TOOL_PIN_DRIFT', 'TOOL_PIN_NEW', 'TOOL_HEADER_INVALID', 'APPROVAL_REQUIRED',
    'APPROVAL_DENIED', 'APPROVAL_EXPIRED', 'APPROVAL_FULL', 'TICKET_UNKNOWN', 'TICKET_CLOSED', 'APPROVER_UNKNOWN', 'APPROVER_NOT_ALLOWED',
    'APPROVER_REPEATED', 'SIGNATURE_INVALID', 'RULE_ALERT', 'LIMIT_EXCEEDED',
    'ITEM_PIN_DRIFT', 'ITEM_PIN_NEW', 'TOOL_SHADOWED',
    'METHOD_DENIED', 'METHOD_UNKNOWN', 'METHOD_WRONG_KIND', 'METHOD_WRONG_DIRECTION', 'ERA_MIXED', 'ERA_DOWNGRADE', 'REVISION_UNKNOWN',
    'ID_IN_FLIGHT', 'ID_UNKNOWN', 'PROGRESS_UNKNOWN', 'RESULT_TYPE_UNKNOWN', 'RESULT_INVALID', 'CURSOR_UNKNOWN', 'CANCELLED', 'CHANGE_MERGED',
    'IN_FLIGHT_LIMIT', 'HEADER_MISMATCH', 'META_INVALID', 'STATE_INVALID', 'NOTIFICATION_UNASKED', 'MEDIA_TYPE', 'ACCEPT_INVALID',
    'METHOD_NOT_ALLOWED', 'PATH_UNKNOWN', 'SESSION_REQUIRED', 'SESSION_UNKNOWN', 'EVENT_UNKNOWN', 'CAPACITY', 'REDACTION_TIMEOUT',
    'HOST_REFUSED', 'ORIGIN_REFUSED', 'AUTH_REQUIRED', 'AUTH_INVALID', 'AUTH_SCOPE',
  ]);
  assert.deepEqual(union('UnavailableCode'), [
    'AUDIT_UNAVAILABLE', 'AUDIT_LOCKED', 'AUDIT_ROLLBACK', 'AUDIT_CORRUPT', 'AUDIT_KEY', 'LISTING_FAILED', 'PIN_STORE',
    'UPSTREAM_GONE', 'UPSTREAM_SPAWN', 'UPSTREAM_ADDRESS', 'UPSTREAM_UNREACHABLE', 'UPSTREAM_PROTOCOL', 'UPSTREAM_STATUS',
    'UPSTREAM_AUTH', 'SESSION_LOST', 'LISTEN_FAILED', 'STREAM_FAILED', 'NATIVE_MISSING', 'AUTH_UNAVAILABLE', 'FILE_UNREADABLE', 'FILE_EXISTS',
    'APPROVER_KEY', 'GATEWAY_UNREACHABLE',
  ]);
  assert.deepEqual(union('UsageCode'), ['POLICY_INVALID', 'CONFIG_INVALID', 'SECRET_IN_CONFIG', 'USAGE']);
});

test('every error code is used somewhere', () => {
  const used = ['shared', 'enclave'].flatMap((zone) =>
    readdirSync(join(root, zone), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== 'errors.ts')
      .map((file) => readFileSync(join(root, zone, file), 'utf8')),
  );
  const all = ['MalformedCode', 'DeniedCode', 'UnavailableCode', 'UsageCode'].flatMap(union);
  assert.deepEqual(all.filter((code) => !used.some((text) => text.includes(`'${code}'`))), []);
});

test('errors have these numbers and this shape', () => {
  const denial = refuse('TOOL_DENIED', 'm', 'h');
  const shape = { code: 'TOOL_DENIED', rule: null, tool: 'tool#00000000', hint: 'h' };
  assert.equal(
    JSON.stringify(denialError(1, 'legacy', denial, 'tool#00000000')),
    JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: -32001, message: 'denied by mcp-bastion: m', data: shape } }),
  );
  const numbers: readonly [Parameters<typeof refuse>[0], 'legacy' | 'modern', number][] = [
    ['TOOL_DENIED', 'modern', -31001],
    ['METHOD_UNKNOWN', 'legacy', -32601],
    ['METHOD_WRONG_KIND', 'legacy', -32600],
    ['CURSOR_UNKNOWN', 'legacy', -32602],
    ['AUDIT_UNAVAILABLE', 'legacy', -32001],
  ];
  for (const [code, era, number] of numbers) {
    assert.equal(JSON.parse(JSON.stringify(denialError(1, era, refuse(code, 'm', 'h'), null))).error.code, number, code);
  }
  const malformed: readonly [Parameters<typeof malformedError>[1], number][] = [
    ['JSON_SYNTAX', -32700],
    ['KEY_DUPLICATE', -32700],
    ['ENVELOPE_KEY', -32600],
    ['ID_INVALID', -32600],
    ['PARAMS_INVALID', -32602],
  ];
  for (const [code, number] of malformed) {
    assert.equal(JSON.parse(JSON.stringify(malformedError(null, code, 'h'))).error.code, number, code);
  }
});

test('packages with a single owner are imported by that owner only', () => {
  const owners = new Map([
    ['better-sqlite3', ['enclave/store/sqlite.ts']],
    ['re2', ['enclave/policy/regex.ts']],
    ['yaml', ['enclave/document/yaml.ts', 'enclave/pins/lockfile.ts']],
    ['zod', ['enclave/document/explain.ts', 'enclave/policy/schema.ts', 'enclave/config/document.ts', 'enclave/host/policy/test-file.ts', 'enclave/pins/lockfile.ts']],
    ['pino', ['enclave/log.ts']],
    ['jose', ['enclave/front/oauth.ts']],
    ['undici', ['enclave/upstream/http.ts']],
    ['@napi-rs/keyring', ['enclave/audit/keychain.ts']],
  ]);
  for (const [name, expected] of owners) {
    const importers = readdirSync(join(root, 'enclave'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .filter((file) => readFileSync(join(root, 'enclave', file), 'utf8').includes(` from '${name}'`))
      .map((file) => `enclave/${file}`);
    assert.deepEqual(importers.sort(), expected.toSorted(), name);
  }
});

test('shared imports nothing but itself and @noble; its command line may use Node too', () => {
  for (const file of readdirSync(join(root, 'shared'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))) {
    const text = readFileSync(join(root, 'shared', file), 'utf8');
    for (const [, from = ''] of text.matchAll(/from '([^']+)'/g)) {
      const allowed = /^(cli|transport)\//.test(file) ? /^\.{1,2}\/(?!.*(enclave|parent|scripts|test)\/)|^node:/ : /^\.{1,2}\/(?!.*(enclave|parent|scripts|test|cli)\/)|^@noble\//;
      assert.equal(allowed.test(from), true, `${file} imports ${from}`);
    }
  }
});
