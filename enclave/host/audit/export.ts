// SPDX-License-Identifier: Apache-2.0
/**
 * Takes rows out of a log with what proves them. The tree is built anew from the stored leaves and has to come to the
 * root of the last checkpoint, whose signature is verified: no proof is written that would not verify.
 */
import { hash } from 'node:crypto';
import { parseBody } from '../../../shared/audit/body.ts';
import type { RowBody } from '../../../shared/audit/body.ts';
import { buildNote, keyIdOf, originOf, parseVkey, verifyCheckpoint } from '../../../shared/audit/checkpoint.ts';
import { HASH_BYTES, leafHash } from '../../../shared/audit/merkle.ts';
import type { RowProof } from '../../../shared/audit/proof.ts';
import type { StoredPayload } from '../../../shared/audit/source.ts';
import { UnreadableSegment } from '../../../shared/audit/source.ts';
import { Tree } from '../../../shared/audit/tree.ts';
import { equalBytes } from '../../../shared/bytes.ts';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { createNativeVerify } from '../../audit/key.ts';
import { SegmentReader } from '../../audit/reader.ts';

const sha256 = (data: Uint8Array): Uint8Array => hash('sha256', data, 'buffer');

export interface ExportedRow {
  readonly idx: number;
  readonly body: Uint8Array;
  readonly row: RowBody;
  /** Null if none is stored, or none was asked for. */
  readonly payload: StoredPayload | null;
  readonly proof: RowProof;
}

export interface Exported {
  readonly origin: string;
  readonly log: string;
  readonly vkey: string;
  readonly publicKey: Uint8Array;
  readonly size: number;
  readonly note: string;
  readonly rows: readonly ExportedRow[];
}

function corrupt(what: string): Unavailable {
  return new Unavailable('AUDIT_CORRUPT', `the log ${what}`, 'look at it with: mcp-bastion inspect-log --verify');
}

/** @throws Unavailable FILE_UNREADABLE, AUDIT_CORRUPT; Usage if the log does not have the rows */
export function exportRows(path: string, first: number, last: number, payloads: boolean): Exported {
  let reader: SegmentReader | undefined;
  try {
    reader = new SegmentReader(path);
    if (reader.schema !== 'expected') throw corrupt("does not have exactly a log's tables");
    return read(reader, first, last, payloads);
  } catch (error) {
    if (error instanceof UnreadableSegment) throw new Unavailable('FILE_UNREADABLE', `${path} is no audit log, or a damaged one`, 'look at it with: mcp-bastion inspect-log --verify', error);
    throw error;
  } finally {
    reader?.close();
  }
}

function read(reader: SegmentReader, first: number, last: number, payloads: boolean): Exported {
  const size = reader.lastCheckpointSize;
  if (last >= size) throw new Usage('USAGE', `the log has no row ${last} that is signed`, size === 0 ? 'it has none' : `its last one is ${size - 1}`);
  const leaves: Uint8Array[] = [];
  const taken: { idx: number; body: Uint8Array; row: RowBody }[] = [];
  for (const { idx, body, leaf } of reader.entries()) {
    if (leaves.length === size) break;
    if (idx !== leaves.length || !(leaf instanceof Uint8Array) || leaf.length !== HASH_BYTES) throw corrupt('lacks rows, or has broken ones');
    leaves.push(leaf);
    if (idx < first || idx > last) continue;
    const parsed = body instanceof Uint8Array ? parseBody(new TextDecoder().decode(body)) : undefined;
    if (!(body instanceof Uint8Array) || parsed?.ok !== true || !equalBytes(leafHash(body, sha256), leaf)) throw corrupt(`has a row ${idx} that is not what was written`);
    taken.push({ idx, body, row: parsed.body });
  }
  const [start] = taken;
  if (start === undefined) throw corrupt('lacks rows, or has broken ones');
  const origin = originOf(start.row.log, start.row.epoch);
  const tree = new Tree(leaves, sha256);
  const { note, vkey, publicKey } = signedNote(reader, origin, tree);
  const rows = taken.map(({ idx, body, row }) => {
    const payload = payloads ? (reader.payload(idx) ?? null) : null;
    return { idx, body, row, payload, proof: { index: idx, path: tree.inclusion(idx), body, note } };
  });
  return { origin, log: start.row.log, vkey, publicKey, size, note, rows };
}

function signedNote(reader: SegmentReader, origin: string, tree: Tree): { note: string; vkey: string; publicKey: Uint8Array } {
  const vkey = typeof reader.vkey === 'string' ? reader.vkey : '';
  const key = parseVkey(vkey);
  const [stored] = reader.checkpoints(tree.size - 1);
  if (key.kind !== 'key' || key.name !== origin) throw corrupt('names no key of its own');
  if (stored?.size !== tree.size || typeof stored.ts !== 'number' || !(stored.root instanceof Uint8Array) || !(stored.sig instanceof Uint8Array)) throw corrupt('has no checkpoint at its end');
  const { publicKey } = key;
  const signed = { origin, size: tree.size, root: stored.root, timestamp: stored.ts, keyId: keyIdOf(origin, publicKey), signature: stored.sig };
  if (!equalBytes(stored.root, tree.root())) throw corrupt('has a checkpoint that does not sign its rows');
  if (!verifyCheckpoint(signed, publicKey, createNativeVerify())) throw corrupt('has a signature that does not verify');
  return { note: buildNote(signed), vkey, publicKey };
}
