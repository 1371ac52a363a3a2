// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { readAttestationTrust } from '../../../../shared/attestation/trust.ts';
import { toHex, utf8 } from '../../../../shared/bytes.ts';

const A = 'aa'.repeat(48);
const PCRS = `"pcrs":{"0":"${A}","1":"${A}","2":"${A}"}`;
const DOCUMENTS = `"documents":{"config_sha384":"${A}","policy_sha384":"${A}","pins_sha384":"${A}"}`;

function read(text: string): string {
  const result = readAttestationTrust(utf8(text));
  if (!result.ok) return result.reason;
  const { pcrs, documents } = result.trust;
  return `${pcrs === null ? 'no' : [...pcrs.keys()].join(' ')}; ${documents === null ? 'no' : toHex(documents.pins).slice(0, 4)}`;
}

test('a trust file holds registers, documents, or both', () => {
  assert.equal(read(`{"version":1,${PCRS},${DOCUMENTS}}`), '0 1 2; aaaa');
  assert.equal(read(`{"version":1,${PCRS}}`), '0 1 2; no');
  assert.equal(read(`{"version":1,${DOCUMENTS}}\n`), 'no; aaaa');
  assert.equal(read(`{"version":1,${PCRS.replaceAll('aa', 'AA').replace('{', `{"31":"${A}",`)}}`), '0 1 2 31; no');
});

const refused: readonly [string, string, string][] = [
  ['no JSON', 'pcrs: {}', 'it is not strict JSON (JSON_SYNTAX)'],
  ['an empty file', '', 'it is not strict JSON (JSON_SYNTAX)'],
  ['a byte order mark', `\ufeff{"version":1,${PCRS}}`, 'it is not strict JSON (BOM)'],
  ['a key twice', `{"version":1,"version":1,${PCRS}}`, 'it is not strict JSON (KEY_DUPLICATE)'],
  ['a register twice', `{"version":1,${PCRS.replace('{', `{"0":"${A}",`)}}`, 'it is not strict JSON (KEY_DUPLICATE)'],
  ['a list', '[]', 'it is no object with "version": 1'],
  ['no version', `{${PCRS}}`, 'it is no object with "version": 1'],
  ['another version', `{"version":2,${PCRS}}`, 'it is no object with "version": 1'],
  ['a version that is text', `{"version":"1",${PCRS}}`, 'it is no object with "version": 1'],
  ['an unknown key', `{"version":1,${PCRS},"nonce":"00"}`, 'it has a key other than version, pcrs and documents'],
  ['nothing to check', '{"version":1}', 'it has neither pcrs nor documents'],
  ['pcrs that are null', `{"version":1,"pcrs":null,${DOCUMENTS}}`, 'pcrs is no object'],
  ['pcrs that are a list', '{"version":1,"pcrs":[]}', 'pcrs is no object'],
  ['no register', '{"version":1,"pcrs":{}}', 'PCR0, PCR1 and PCR2 belong together: none of them alone names an image'],
  ['two registers', `{"version":1,"pcrs":{"0":"${A}","1":"${A}"}}`, 'PCR0, PCR1 and PCR2 belong together: none of them alone names an image'],
  ['register 32', `{"version":1,${PCRS.replace('{', `{"32":"${A}",`)}}`, 'a PCR has an index from 0 to 31'],
  ['register 00', `{"version":1,${PCRS.replace('{', `{"00":"${A}",`)}}`, 'a PCR has an index from 0 to 31'],
  ['a register by another name', `{"version":1,${PCRS.replace('"0"', '"PCR0"')}}`, 'a PCR has an index from 0 to 31'],
  ['a short value', `{"version":1,${PCRS.replace(A, A.slice(2))}}`, 'PCR0 is not 96 hexadecimal digits'],
  ['a value that is no hexadecimal', `{"version":1,${PCRS.replace('aa', '0x')}}`, 'PCR0 is not 96 hexadecimal digits'],
  ['a value that is null', `{"version":1,${PCRS.replace(`"${A}"`, 'null')}}`, 'PCR0 is not 96 hexadecimal digits'],
  ['the value of a debug enclave', `{"version":1,${PCRS.replace(A, '00'.repeat(48))}}`, 'PCR0 is all zeros, as debug enclaves have it'],
  ['two documents', `{"version":1,"documents":{"config_sha384":"${A}","policy_sha384":"${A}"}}`, 'documents is not config_sha384, policy_sha384 and pins_sha384 of 96 hexadecimal digits each'],
  ['a fourth document', `{"version":1,${DOCUMENTS.replace('{', '{"more":1,')}}`, 'documents is not config_sha384, policy_sha384 and pins_sha384 of 96 hexadecimal digits each'],
  ['documents that are null', `{"version":1,${PCRS},"documents":null}`, 'documents is not config_sha384, policy_sha384 and pins_sha384 of 96 hexadecimal digits each'],
];

for (const [name, text, reason] of refused) test(`a trust file with ${name} is refused`, () => assert.equal(read(text), reason));
