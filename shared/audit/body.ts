// SPDX-License-Identifier: Apache-2.0
/**
 * The body of a row: the canonical JSON that is stored, hashed into the tree and read back. A body is accepted only in
 * the one form that buildBody writes: fixed keys per kind, their types, and equality after writing it anew.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8 } from '../bytes.ts';
import { canonicalJson } from '../json/canonical.ts';
import type { JsonObject, JsonValue } from '../json/value.ts';
import { isJsonObject, jsonObject } from '../json/value.ts';
import { ROW_BYTES_MAX } from '../limits.ts';
import type { RowFields } from './row.ts';
import { ROW_FORMAT } from './row.ts';

/** Where a row stands. */
export interface RowPlace {
  /** 32 hex digits. */
  readonly log: string;
  readonly epoch: number;
  readonly idx: number;
  /** Leaf hash of the row before, hex; for the first row, genesisHash of the log. */
  readonly prev: string;
}

/** What stands in the row for a payload: the commitment, hex, and the payload's bytes. */
export interface Commitment {
  readonly pc: string;
  readonly bytes: number;
}

export interface RowTimes {
  /** Milliseconds since 1970. */
  readonly wall: number;
  /** Microseconds since an arbitrary start. */
  readonly mono: number;
}

/** A body that was read back: everything of it is a string, a number or null. */
export interface RowBody extends RowPlace, RowTimes {
  readonly kind: RowFields['kind'];
  readonly commitment: Commitment | null;
  /** All members as they stand, the common ones included. */
  readonly members: JsonObject;
}

/** The members of a row less the common ones; what stands in them is checked when the body is built. */
export type RowMembers = Readonly<Record<string, string | number | null>>;

export type ParsedBody =
  | { readonly ok: true; readonly body: RowBody }
  | { readonly ok: false };

type Check = (value: JsonValue | undefined) => boolean;

const text: Check = (value) => typeof value === 'string';
const natural: Check = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const orNull = (check: Check): Check => (value) => value === null || check(value);
const hex = (digits: number): Check => {
  const pattern = new RegExp(`^[0-9a-f]{${digits}}$`);
  return (value) => typeof value === 'string' && pattern.test(value);
};
const oneOf = (...values: readonly string[]): Check => (value) => typeof value === 'string' && values.includes(value);

const COMMON: Readonly<Record<string, Check>> = {
  _: oneOf(ROW_FORMAT),
  log: hex(32),
  epoch: natural,
  idx: natural,
  prev: hex(64),
  wall: natural,
  mono: natural,
  pc: orNull(hex(64)),
  pc_bytes: orNull(natural),
};
const decision = oneOf('allow', 'alert', 'deny', 'hold');
const TRAFFIC: Readonly<Record<string, Check>> = {
  call_id: orNull(hex(32)),
  tenant: orNull(text),
  principal: text,
  session: text,
  server: text,
  dir: oneOf('c2s', 's2c'),
  origin: oneOf('client', 'server', 'gateway'),
  type: oneOf('request', 'notification', 'result', 'error', 'unreadable'),
  method: orNull(text),
  tool: orNull(text),
  rpc: orNull(text),
  decision,
  rule: orNull(text),
  code: orNull(text),
  status: orNull(text),
  policy: text,
  bytes: natural,
  redactions: natural,
  us: orNull(natural),
};
const PIN: Readonly<Record<string, Check>> = {
  server: text,
  session: text,
  tool: orNull(text),
  change: oneOf('listed', 'new', 'drift', 'removed', 'accepted'),
  digest: text,
  was: orNull(text),
  decision,
  code: orNull(text),
  count: orNull(natural),
  policy: text,
};
const BOOT: Readonly<Record<string, Check>> = {
  version: text,
  node: text,
  server: text,
  session: text,
  policy: text,
  mode: oneOf('enforce'),
  order: oneOf('strict', 'intent', 'response'),
  signature: oneOf('per-commit', 'per-row'),
  payload: oneOf('none', 'redacted'),
  key: hex(64),
  key_custody: oneOf('file', 'ephemeral'),
  prev_origin: orNull(text),
  prev_size: orNull(natural),
  prev_root: orNull(hex(64)),
};
const CLOSE: Readonly<Record<string, Check>> = { session: text, reason: text };

type Shape = readonly (readonly [key: string, check: Check])[];

function shapeOf(kind: string, own: Readonly<Record<string, Check>>): readonly [string, Shape] {
  const all = { ...COMMON, ...own, kind: oneOf(kind) };
  return [kind, Object.entries(all).sort(([left], [right]) => (left < right ? -1 : 1))];
}

const SHAPES: ReadonlyMap<string, Shape> = new Map([
  shapeOf('call', TRAFFIC),
  shapeOf('result', TRAFFIC),
  shapeOf('message', TRAFFIC),
  shapeOf('drop', TRAFFIC),
  shapeOf('pin', PIN),
  shapeOf('boot', BOOT),
  shapeOf('close', CLOSE),
]);

/** True if the members are exactly those of their kind, each of its type. */
function hasShape(members: JsonObject): boolean {
  const kind = members['kind'];
  const shape = typeof kind === 'string' ? SHAPES.get(kind) : undefined;
  if (shape === undefined || Object.keys(members).length !== shape.length) return false;
  if (!shape.every(([key, check]) => check(members[key]))) return false;
  return (members['pc'] === null) === (members['pc_bytes'] === null);
}

/**
 * The body of a row that is about to be written.
 * @throws TypeError for fields that are not those of their kind, RangeError for a body above ROW_BYTES_MAX
 */
export function buildBody(place: RowPlace, fields: RowMembers, times: RowTimes, commitment: Commitment | null): string {
  const members = jsonObject({
    ...fields,
    _: ROW_FORMAT,
    log: place.log,
    epoch: place.epoch,
    idx: place.idx,
    prev: place.prev,
    wall: times.wall,
    mono: times.mono,
    pc: commitment === null ? null : commitment.pc,
    pc_bytes: commitment === null ? null : commitment.bytes,
  });
  if (!hasShape(members)) throw new TypeError(`a row of kind ${fields['kind']} does not have the members of its kind`);
  const body = canonicalJson(members);
  // A UTF-16 unit takes at most three bytes.
  if (body.length * 3 > ROW_BYTES_MAX && utf8(body).length > ROW_BYTES_MAX) throw new RangeError('a row is longer than ROW_BYTES_MAX');
  return body;
}

/** Reads a stored body; attacker-controlled. Not ok unless it is byte for byte what buildBody writes for its content. */
export function parseBody(stored: string): ParsedBody {
  if (stored.length > ROW_BYTES_MAX) return { ok: false };
  const members = readObject(stored);
  if (members === undefined || !hasShape(members)) return { ok: false };
  if (!isCanonical(members, stored)) return { ok: false };
  const { log, epoch, idx, prev, wall, mono, pc, pc_bytes: bytes } = members;
  if (typeof log !== 'string' || typeof prev !== 'string') return { ok: false };
  if (typeof epoch !== 'number' || typeof idx !== 'number' || typeof wall !== 'number' || typeof mono !== 'number') return { ok: false };
  const kind = kindOf(members);
  if (kind === undefined) return { ok: false };
  const commitment = typeof pc === 'string' && typeof bytes === 'number' ? { pc, bytes } : null;
  return { ok: true, body: { log, epoch, idx, prev, wall, mono, kind, commitment, members } };
}

/** The depth and the duplicates that JSON.parse lets pass do not survive the checks of shape and canonical form. */
function readObject(stored: string): JsonObject | undefined {
  try {
    const value: JsonValue = JSON.parse(stored);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isCanonical(members: JsonObject, stored: string): boolean {
  try {
    return canonicalJson(members) === stored;
  } catch {
    return false;
  }
}

const KINDS: readonly RowFields['kind'][] = ['call', 'result', 'message', 'drop', 'pin', 'boot', 'close'];

function kindOf(members: JsonObject): RowFields['kind'] | undefined {
  return KINDS.find((kind) => kind === members['kind']);
}

const GENESIS = utf8('mcp-bastion/genesis/1');
const PAYLOAD = utf8('mcp-bastion/payload/1\0');

/** What the first row of an epoch names as the row before: SHA-256 of a label and the 16 bytes of the log's id. */
export function genesisHash(log: Uint8Array): Uint8Array {
  return sha256(concatBytes(GENESIS, log));
}

/** The bytes whose SHA-256 commits to a payload: label, salt (32 bytes), length (u64), the redacted bytes. */
export function payloadPreimage(salt: Uint8Array, data: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(data.length));
  return concatBytes(PAYLOAD, salt, length, data);
}
