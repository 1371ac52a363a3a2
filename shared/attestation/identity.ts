// SPDX-License-Identifier: Apache-2.0
/**
 * Whether a document, its registers and its certificates speak of one enclave: module id, PCR4, common names, region.
 * AWS does not promise these relations; every real document known has them, and a mixture of two documents has not.
 */
import { equalBytes, utf8 } from '../bytes.ts';
import type { CertificateList } from './chain.ts';
import type { Check } from './check.ts';
import { bad, ok } from './check.ts';
import type { AttestationDocument } from './document.ts';
import { firstExtension } from './pcr.ts';
import { shown } from './shown.ts';

const REGION = /^[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}$/;
const LEAF_END = '.aws';
const AUTHORITY_END = '.aws.nitro-enclaves';

/** The time in a document is one at which its leaf was valid: both come from the hypervisor's clock. */
export function checkTimestamp(document: AttestationDocument, { leaf }: CertificateList): Check {
  const time = new Date(document.timestampMs).toISOString();
  const period = `${new Date(leaf.notBeforeMs).toISOString()} to ${new Date(leaf.notAfterMs).toISOString()}`;
  if (document.timestampMs < leaf.notBeforeMs || document.timestampMs > leaf.notAfterMs) {
    return bad('timestamp', 'TIMESTAMP_OUTSIDE', `a time in the leaf's period, ${period}`, time);
  }
  return ok('timestamp', `the document says ${time}`);
}

export async function checkIdentity(document: AttestationDocument, { all, leaf }: CertificateList): Promise<Check> {
  const { moduleId, instanceId } = document;
  const pcr4 = document.pcrs.get(4);
  if (pcr4 === undefined || !equalBytes(pcr4, await firstExtension(utf8(instanceId)))) {
    return mismatch(`PCR4 of instance ${instanceId}`, 'another PCR4');
  }
  const leafName = leaf.subject.commonName ?? '';
  const region = between(leafName, `${moduleId}.`, LEAF_END);
  if (region === undefined || !REGION.test(region)) return mismatch(`leaf ${moduleId}.<region>${LEAF_END}`, shown(leafName));
  const instanceName = all.at(-2)?.subject.commonName ?? '';
  const wanted = `${instanceId}.${region}${AUTHORITY_END}`;
  if (instanceName !== wanted) return mismatch(`issuer of the leaf ${wanted}`, shown(instanceName));
  for (const { subject } of all.slice(1, -2)) {
    const name = subject.commonName ?? '';
    if (!name.endsWith(`.${region}${AUTHORITY_END}`)) return mismatch(`an authority of region ${region}`, shown(name));
  }
  return ok('identity', `${moduleId} in ${region}: PCR4 and certificates agree`);
}

function mismatch(expected: string, actual: string): Check {
  return bad('identity', 'IDENTITY_MISMATCH', expected, actual);
}

function between(text: string, start: string, end: string): string | undefined {
  return text.startsWith(start) && text.endsWith(end) && text.length > start.length + end.length ? text.slice(start.length, -end.length) : undefined;
}
