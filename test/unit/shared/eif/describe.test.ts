// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '../../../../shared/json/value.ts';
import { describeEif, describeMeasurements } from '../../../../shared/eif/describe.ts';
import { METADATA, imageOf, readOf } from '../../../harness/eif.ts';

/** PCRs of public.ecr.aws/aws-nitro-enclaves/hello:v1, as the tests of nitro-cli have them. */
const HELLO = {
  pcr0: Buffer.from('6be47f8386175bc4853c3b821f9e6fa6f65f8bd73492d1df99ba9dd0d734e11c8941e7415d9167f7d0ea6991790566a7', 'hex'),
  pcr1: Buffer.from('0343b056cd8485ca7890ddd833476d78460aed2aa161548e4e26bedf321726696257d623e8805f3f605946b3d8b0c6aa', 'hex'),
  pcr2: Buffer.from('dd61366a5424eea46f60c4e9d59e6c645a46420ccf962550ee1f3c109d230f88ec23667617aeaac425a1f50fe8e384d7', 'hex'),
  pcr8: null,
};
const SIGNED = { ...HELLO, pcr8: Buffer.alloc(48, 8) };

function metadataOf(customMetadata: JsonValue): unknown {
  const eif = readOf(imageOf({ metadata: { ...METADATA, customMetadata } }));
  return JSON.parse(JSON.stringify(describeEif(eif, HELLO, null)['Metadata']));
}

const build = { BuildTime: '1970-01-01T00:00:00+00:00', BuildTool: 'bastion-eif', BuildToolVersion: '0.1.0', OperatingSystem: 'Linux', KernelVersion: '6.12.95', DockerInfo: null };

test('measurements are shown member for member as nitro-cli shows them', () => {
  assert.equal(
    JSON.stringify(describeMeasurements(HELLO), null, 2),
    `{
  "HashAlgorithm": "Sha384 { ... }",
  "PCR0": "6be47f8386175bc4853c3b821f9e6fa6f65f8bd73492d1df99ba9dd0d734e11c8941e7415d9167f7d0ea6991790566a7",
  "PCR1": "0343b056cd8485ca7890ddd833476d78460aed2aa161548e4e26bedf321726696257d623e8805f3f605946b3d8b0c6aa",
  "PCR2": "dd61366a5424eea46f60c4e9d59e6c645a46420ccf962550ee1f3c109d230f88ec23667617aeaac425a1f50fe8e384d7"
}`,
  );
  assert.deepEqual(Object.keys(describeMeasurements(SIGNED, new Map([['PCR3', HELLO.pcr0]]))), ['HashAlgorithm', 'PCR0', 'PCR1', 'PCR2', 'PCR3', 'PCR8']);
});

test('an unsigned image is described without members about a signature', () => {
  const shown = describeEif(readOf(imageOf()), HELLO, null);
  assert.deepEqual(Object.keys(shown), ['EifVersion', 'Measurements', 'IsSigned', 'CheckCRC', 'ImageName', 'ImageVersion', 'Metadata']);
  assert.deepEqual([shown['EifVersion'], shown['IsSigned'], shown['CheckCRC'], shown['ImageName']], [4, false, true, 'bastion']);
});

test('a signature is described in the order of nitro-cli', () => {
  const certificate = { issuerName: { commonName: 'release' }, algorithm: 'ecdsa-with-SHA384', notBefore: 'b', notAfter: 'a', signature: '30:45' };
  const shown = describeEif(readOf(imageOf()), SIGNED, { certificate, valid: false });
  assert.deepEqual(Object.keys(shown).slice(2, 6), ['IsSigned', 'SigningCertificate', 'CheckCRC', 'SignatureCheck']);
  assert.equal(
    JSON.stringify(shown['SigningCertificate']),
    '{"IssuerName":{"commonName":"release"},"Algorithm":"ecdsa-with-SHA384","NotBefore":"b","NotAfter":"a","Signature":"30:45"}',
  );
  assert.equal(shown['SignatureCheck'], false);
});

test('the members of the custom metadata stand among those of the build, unless they would hide one', () => {
  assert.deepEqual(metadataOf(null), build);
  assert.deepEqual(metadataOf({ commit: 'abc' }), { ...build, commit: 'abc' });
  assert.deepEqual(metadataOf({ BuildTool: 'trusted' }), { ...build, CustomMetadata: { BuildTool: 'trusted' } });
  assert.deepEqual(metadataOf([1]), { ...build, CustomMetadata: [1] });
});
