// SPDX-License-Identifier: Apache-2.0
/**
 * What the gateway states in `user_data`: the key of its channel, the key and head of its log, and the documents it booted
 * with. It is a canonical CBOR map of at most 512 bytes with these keys, all present:
 *
 *   v        1
 *   flags    bits of the boot self-test that failed
 *   tls      SHA-256 of the SPKI of the TLS key, 32 bytes
 *   audit    SHA-256 of the SPKI of the log's key, 32 bytes
 *   config, policy, pins   SHA-384 of the boot documents, 48 bytes each
 *   origin   of the log
 *   size, root   of the log's newest checkpoint; root is 32 bytes
 *   release  version and commit
 */
import { equalBytes, toHex } from '../bytes.ts';
import { parseCbor } from '../cbor/read.ts';
import type { CborKey, CborValue } from '../cbor/value.ts';
import { encodeCbor } from '../cbor/write.ts';
import { STATEMENT_BYTES_MAX } from '../limits.ts';
import type { Check } from './check.ts';
import { bad, notChecked, ok, unwanted } from './check.ts';
import type { AttestationDocument, OptionalBytes } from './document.ts';
import { describeOptional, PCR_BYTES } from './document.ts';
import type { BootDigests } from './pcr.ts';
import { BOOT_PCR, bootPcr } from './pcr.ts';

export interface Statement {
  readonly flags: number;
  readonly tlsSha256: Uint8Array;
  readonly auditSha256: Uint8Array;
  readonly documents: BootDigests;
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  readonly release: string;
}

export type StatementRead =
  /** There is none: user_data is not there, or means something to somebody else. */
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'statement'; readonly statement: Statement };

const VERSION = 1;
const KEYS: readonly string[] = ['v', 'flags', 'tls', 'audit', 'config', 'policy', 'pins', 'origin', 'size', 'root', 'release'];
const SHA256_BYTES = 32;
const PRINTABLE = /^[\x21-\x7e]{1,256}$/;
const RELEASE = /^[0-9A-Za-z.+-]{1,64}$/;

/** What failed in the boot self-test, by bit. */
const FLAGS: readonly string[] = ['clock source', 'random numbers', 'command line', 'own document', 'heartbeat'];

/** Reads user_data. A map with the key `v` is a statement of the gateway's and has to be one to the last byte. */
export function readStatement(userData: OptionalBytes): StatementRead {
  if (userData.state !== 'bytes') return { kind: 'none' };
  const { bytes } = userData;
  const parsed = parseCbor(bytes, { indefinite: 'refuse' });
  if (!parsed.ok || parsed.value.kind !== 'map' || !parsed.value.entries.has('v')) return { kind: 'none' };
  const fields = parsed.value.entries;
  const malformed = (reason: string): StatementRead => ({ kind: 'malformed', reason });
  if (bytes.length > STATEMENT_BYTES_MAX) return malformed(`it is longer than ${STATEMENT_BYTES_MAX} bytes`);
  if (!equalBytes(encodeCbor(parsed.value), bytes)) return malformed('it is not in canonical form');
  if (integerOf(fields.get('v')) !== VERSION) return malformed(`its version is not ${VERSION}`);
  if (fields.size !== KEYS.length || !KEYS.every((key) => fields.has(key))) return malformed('it has not exactly the keys of its version');
  const statement = statementOf(fields);
  return statement === undefined ? malformed('a value has not the form of its key') : { kind: 'statement', statement };
}

function statementOf(fields: ReadonlyMap<CborKey, CborValue>): Statement | undefined {
  const flags = integerOf(fields.get('flags'));
  const tlsSha256 = bytesOf(fields.get('tls'), SHA256_BYTES);
  const auditSha256 = bytesOf(fields.get('audit'), SHA256_BYTES);
  const config = bytesOf(fields.get('config'), PCR_BYTES);
  const policy = bytesOf(fields.get('policy'), PCR_BYTES);
  const pins = bytesOf(fields.get('pins'), PCR_BYTES);
  const origin = textOf(fields.get('origin'), PRINTABLE);
  const size = integerOf(fields.get('size'));
  const root = bytesOf(fields.get('root'), SHA256_BYTES);
  const release = textOf(fields.get('release'), RELEASE);
  if (flags === undefined || tlsSha256 === undefined || auditSha256 === undefined || config === undefined || policy === undefined) return undefined;
  if (pins === undefined || origin === undefined || size === undefined || root === undefined || release === undefined) return undefined;
  return { flags, tlsSha256, auditSha256, documents: { config, policy, pins }, origin, size, root, release };
}

function integerOf(value: CborValue | undefined): number | undefined {
  return value?.kind === 'int' && value.value >= 0 ? value.value : undefined;
}

function bytesOf(value: CborValue | undefined, length: number): Uint8Array | undefined {
  return value?.kind === 'bytes' && value.value.length === length ? value.value : undefined;
}

function textOf(value: CborValue | undefined, form: RegExp): string | undefined {
  return value?.kind === 'text' && form.test(value.value) ? value.value : undefined;
}

/** Whether user_data is a statement and agrees with PCR16, which the module extended and the statement cannot change. */
export async function checkStatement(document: AttestationDocument, read: StatementRead): Promise<Check> {
  switch (read.kind) {
    case 'none':
      return notChecked('statement', `user_data (${describeOptional(document.userData)}) is no statement of mcp-bastion`);
    case 'malformed':
      return bad('statement', 'STATEMENT_MALFORMED', 'a statement in canonical CBOR', read.reason);
    case 'statement': {
      const wanted = await bootPcr(read.statement.documents);
      const actual = document.pcrs.get(BOOT_PCR);
      if (actual !== undefined && equalBytes(actual, wanted)) return ok('statement', `release ${read.statement.release}, log ${read.statement.origin} at size ${read.statement.size}`);
      return bad('statement', 'STATEMENT_MISMATCH', `PCR${BOOT_PCR} of the documents it names, ${toHex(wanted)}`, actual === undefined ? 'absent' : toHex(actual));
    }
  }
}

/** Bits that nobody knows are refused even where flags are allowed: they may say anything. */
export function checkFlags(statement: Statement, allowed: boolean): Check {
  const names = FLAGS.filter((_, bit) => Math.floor(statement.flags / 2 ** bit) % 2 === 1);
  const unknown = statement.flags >= 2 ** FLAGS.length;
  if (unknown) names.push('unknown bits');
  if (names.length === 0) return ok('flags', 'the boot self-test passed');
  if (allowed && !unknown) return ok('flags', `allowed although the boot self-test failed: ${names.join(', ')}`);
  return unwanted('flags', 'FLAGS_SET', 'a boot self-test that passed', `it failed: ${names.join(', ')}`);
}

/** Whether the key that a connection showed is the one that the enclave made. `seen`: SHA-256 of its SPKI. */
export function checkChannel(read: StatementRead, seen: Uint8Array | null): Check {
  if (seen === null) return notChecked('channel', 'a saved document shows no connection');
  if (read.kind !== 'statement') return unwanted('channel', 'CHANNEL_MISMATCH', toHex(seen), 'no statement names a key');
  const { tlsSha256 } = read.statement;
  if (!equalBytes(tlsSha256, seen)) return unwanted('channel', 'CHANNEL_MISMATCH', toHex(seen), toHex(tlsSha256));
  return ok('channel', `the key of this connection is the enclave's, ${toHex(seen)}`);
}
