// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { readHeader, readVariable, resolveSecret } from '../../../enclave/config/secret.ts';
import type { Secret } from '../../../enclave/config/types.ts';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { SECRET_BYTES_MAX } from '../../../shared/limits.ts';

function resolve(secret: Secret, env: NodeJS.ProcessEnv = {}, files: ReadonlyMap<string, string | Uint8Array> = new Map()): Promise<string> {
  return resolveSecret(secret, {
    env,
    readFile: async (path) => {
      const content = files.get(path);
      if (content === undefined) throw new Error(`ENOENT ${path}`);
      return typeof content === 'string' ? new TextEncoder().encode(content) : content;
    },
  });
}

const fileOf = (content: string | Uint8Array): Promise<string> => resolve({ kind: 'file', path: '/s' }, {}, new Map([['/s', content]]));

test('a literal is its own value', async () => {
  assert.equal(await resolve({ kind: 'literal', value: 'env:X' }), 'env:X');
  assert.equal(await resolve({ kind: 'literal', value: '' }), '');
});

test('a variable is read from the environment of the gateway, as it is', async () => {
  assert.equal(await resolve({ kind: 'env', name: 'A' }, { A: ' x\n' }), ' x\n');
});

test('a variable that is not set or empty is an error of the person who starts the gateway', async () => {
  for (const [env, word] of [[{}, 'not set'], [{ A: '' }, 'empty']] as const) {
    await assert.rejects(resolve({ kind: 'env', name: 'A' }, env), (error: unknown) => {
      assert.ok(error instanceof Usage);
      assert.deepEqual([error.code, error.message, error.hint], ['CONFIG_INVALID', `env:A: the variable is ${word}`, 'set it where the gateway is started']);
      return true;
    });
  }
});

test('of a file the last line end is no part of the secret, and nothing else is cut', async () => {
  const rows: readonly (readonly [content: string, secret: string])[] = [
    ['x', 'x'],
    ['x\n', 'x'],
    ['x\r\n', 'x'],
    ['x\n\n', 'x\n'],
    [' x \n', ' x '],
    ['a\nb\n', 'a\nb'],
    ['\ufeffx', 'x'],
    ['x\r', 'x\r'],
  ];
  for (const [content, secret] of rows) assert.equal(await fileOf(content), secret, JSON.stringify(content));
  assert.equal((await fileOf('x'.repeat(SECRET_BYTES_MAX))).length, SECRET_BYTES_MAX);
});

test('a file that holds no secret is refused, and its content is not shown', async () => {
  const hint = 'the file holds the secret alone, on one line';
  const rows: readonly (readonly [content: string | Uint8Array, problem: string])[] = [
    ['', 'the file is empty'],
    ['\n', 'the file is empty'],
    [Uint8Array.of(0x61, 0xff), 'the file is not text'],
    ['a\0b', 'the file is not text'],
    [new Uint8Array(SECRET_BYTES_MAX + 1).fill(0x61), 'the file is larger than 65536 bytes'],
  ];
  for (const [content, problem] of rows) {
    await assert.rejects(fileOf(content), (error: unknown) => {
      assert.ok(error instanceof Unavailable);
      assert.deepEqual([error.code, error.message, error.hint], ['FILE_UNREADABLE', `file:'/s': ${problem}`, hint]);
      return true;
    });
  }
});

test('a file that cannot be read is named without what could move a cursor', async () => {
  await assert.rejects(resolve({ kind: 'file', path: '/a\u001b[2J' }), (error: unknown) => {
    assert.ok(error instanceof Unavailable);
    assert.deepEqual([error.code, error.message, error.hint], ['FILE_UNREADABLE', "file:'/a?[2J': the file cannot be read", 'check the path and its permissions']);
    return true;
  });
});

test('a text of a configuration is a reference, a plain text, or refused', () => {
  const kindOf = (text: string): string => {
    const read = readVariable('A', text);
    return read.ok ? read.value.kind : 'refused';
  };
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), fc.constantFrom('', 'env:', 'file:', 'ENV:', ' env:', 'Bearer env:', 'keychain:', '$', '${'), (rest, prefix) => {
      const text = prefix + rest;
      const kind = kindOf(text);
      if (kind === 'env') assert.match(text, /^env:[A-Za-z_][A-Za-z0-9_]*$/);
      else if (kind === 'file') assert.match(text, /^file:/);
      else if (kind === 'literal') assert.doesNotMatch(text, /^\s*(?:env|file|keychain|sealed):/i);
    }),
    { numRuns: 500 },
  );
  assert.deepEqual(['env:A_1', 'file:a b', 'plain', '', 'env:', 'env:a b', 'env:A ', 'file: ', 'file:a\0'].map(kindOf), [
    'env', 'file', 'literal', 'literal', 'refused', 'refused', 'refused', 'refused', 'refused',
  ]);
});

test('no header that carries a credential takes a literal, whatever it looks like', () => {
  for (const name of ['authorization', 'cookie', 'x-api-key', 'x-auth-token', 'api-key', 'x-vault-token', 'x-client-secret', 'private-token']) {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/), (value) => {
        const read = readHeader(name, value);
        assert.deepEqual(read.ok ? read.value : read.code, 'SECRET_IN_CONFIG', `${name}: ${value}`);
      }),
      { numRuns: 100 },
    );
  }
});
