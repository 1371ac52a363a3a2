// SPDX-License-Identifier: Apache-2.0
/** Reports as text and as JSON. Both say the same; the JSON is stable within its `schema`. */
import type { Check, Verdict } from '../attestation/check.ts';
import { isoTime } from '../attestation/chain.ts';
import type { AttestationDocument, OptionalBytes } from '../attestation/document.ts';
import type { AttestationReport } from '../attestation/verify.ts';
import { toHex } from '../bytes.ts';

const SCHEMA = 'mcp-bastion/verify-pcrs/1';
const NAME_WIDTH = 12;

/** 0 verified, 1 does not match, 3 could not check everything. */
export function exitOf(verdict: Verdict): number {
  switch (verdict.kind) {
    case 'verified':
      return 0;
    case 'refused':
      return 1;
    case 'incomplete':
      return 3;
  }
}

export function reportAsText(report: AttestationReport): string {
  const { verdict, checks, verified } = report;
  const lines = checks.map(lineOf);
  for (const note of verified?.notes ?? []) lines.push(`note: ${note}`);
  lines.push(`verdict: ${verdictLine(verdict)}`);
  if (verified === null) lines.push('not checked: everything after the check that failed');
  else lines.push(`not checked: ${uncheckedOf(checks).join(', ') || 'nothing'}`);
  return `${lines.join('\n')}\n`;
}

function lineOf(check: Check): string {
  const name = check.name.padEnd(NAME_WIDTH);
  switch (check.result) {
    case 'ok':
      return `ok           ${name} ${check.detail}`;
    case 'failed':
      return `FAIL         ${name} ${check.failure.code}: expected ${check.failure.expected}; actual ${check.failure.actual}`;
    case 'not-checked':
      return `not checked  ${name} ${check.reason}`;
  }
}

function verdictLine(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'verified':
      return verdict.accepted.length === 0 ? 'VERIFIED' : `VERIFIED, but for what was accepted as unchecked: ${verdict.accepted.join(', ')}`;
    case 'refused':
      return `REFUSED (${verdict.failure.code}): ${verdict.failure.family === 'evidence' ? 'the document proves nothing' : 'a genuine document, but not what is accepted'}`;
    case 'incomplete':
      return `NOT VERIFIED: nothing was found wrong, but this was not checked: ${verdict.unchecked.join(', ')}`;
  }
}

function uncheckedOf(checks: readonly Check[]): string[] {
  return checks.filter((check) => check.result === 'not-checked').map((check) => check.name);
}

export function reportAsJson(report: AttestationReport, atMs: number): string {
  const { verdict, checks, verified } = report;
  const json = {
    schema: SCHEMA,
    verdict: verdict.kind,
    exit: exitOf(verdict),
    code: verdict.kind === 'refused' ? verdict.failure.code : null,
    family: verdict.kind === 'refused' ? verdict.failure.family : null,
    at: isoTime(atMs),
    checks: checks.map(({ name, result, ...rest }) => ({ name, result, ...('failure' in rest ? rest.failure : rest) })),
    unchecked: uncheckedOf(checks),
    accepted: verdict.kind === 'verified' ? verdict.accepted : [],
    notes: verified?.notes ?? [],
    document: verified === null ? null : documentAsJson(verified.document),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

function documentAsJson(document: AttestationDocument): object {
  const optional = (value: OptionalBytes): string | null => (value.state === 'bytes' ? toHex(value.bytes) : null);
  return {
    module_id: document.moduleId,
    timestamp: isoTime(document.timestampMs),
    pcrs: Object.fromEntries(Array.from(document.pcrs, ([index, value]) => [String(index), toHex(value)])),
    public_key: optional(document.publicKey),
    user_data: optional(document.userData),
    nonce: optional(document.nonce),
  };
}
