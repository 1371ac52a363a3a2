// SPDX-License-Identifier: Apache-2.0
/**
 * The body of a row: the canonical JSON that is stored, hashed into the tree and read back. A body is accepted only in
 * the one form that buildBody writes: fixed keys per kind, their types, and equality after writing it anew.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8 } from '../bytes.ts';
import { canonicalJson } from '../json/canonical.ts';
import type { JsonObject, JsonValue } from '../json/value.ts';
import { emptyObject, jsonObject } from '../json/value.ts';
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
  item: oneOf('tool', 'prompt', 'template', 'resource', 'instructions'),
  change: oneOf('listed', 'new', 'drift', 'removed', 'accepted', 'rejected', 'shadow'),
  digest: text,
  was: orNull(text),
  decision,
  code: orNull(text),
  count: orNull(natural),
  policy: text,
};
const APPROVAL: Readonly<Record<string, Check>> = {
  server: text,
  session: text,
  principal: text,
  tool: orNull(text),
  ticket: orNull(hex(64)),
  change: oneOf('held', 'approved', 'denied', 'redeemed', 'expired', 'void', 'refused'),
  approver: orNull(text),
  key: orNull(hex(64)),
  signature: orNull(text),
  code: orNull(text),
  count: orNull(natural),
  policy: text,
};
const POLICY: Readonly<Record<string, Check>> = {
  session: text,
  change: oneOf('loaded', 'refused'),
  was: text,
  policy: text,
  code: orNull(text),
};
const BOOT: Readonly<Record<string, Check>> = {
  version: text,
  node: text,
  server: text,
  session: text,
  policy: text,
  mode: oneOf('enforce', 'observe'),
  order: oneOf('strict', 'intent', 'response'),
  signature: oneOf('per-commit', 'per-row'),
  payload: oneOf('none', 'redacted', 'sealed'),
  key: hex(64),
  key_custody: oneOf('file', 'keychain', 'systemd-credential', 'ephemeral'),
  prev_origin: orNull(text),
  prev_size: orNull(natural),
  prev_root: orNull(hex(64)),
};
const CLOSE: Readonly<Record<string, Check>> = { session: text, reason: text };
const GAP: Readonly<Record<string, Check>> = { session: text, from: natural, to: natural, rejected: natural, lost: natural, reason: oneOf('full', 'storage', 'stalled') };
const TIME: Readonly<Record<string, Check>> = { session: text, change: oneOf('jump'), expected: natural };
const ERASE: Readonly<Record<string, Check>> = {
  session: text,
  scope: oneOf('payload', 'segment'),
  of_epoch: natural,
  row: orNull(natural),
  size: orNull(natural),
  root: orNull(hex(64)),
  reason: oneOf('request', 'retention'),
};
const RECOVER: Readonly<Record<string, Check>> = { session: text, of_epoch: natural, from: natural, to: natural, root: orNull(hex(64)) };
const ROTATE: Readonly<Record<string, Check>> = { session: text, key: hex(64), next: hex(64) };

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
  shapeOf('approval', APPROVAL),
  shapeOf('policy', POLICY),
  shapeOf('boot', BOOT),
  shapeOf('close', CLOSE),
  shapeOf('rotate', ROTATE),
  shapeOf('gap', GAP),
  shapeOf('time', TIME),
  shapeOf('erase', ERASE),
  shapeOf('recover', RECOVER),
]);

const KINDS: readonly RowFields['kind'][] = ['call', 'result', 'message', 'drop', 'pin', 'approval', 'policy', 'boot', 'close', 'rotate', 'gap', 'time', 'erase', 'recover'];

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

/**
 * Reads a stored body; attacker-controlled. Not ok unless it is byte for byte what buildBody writes for its content: the
 * text is walked along the keys of its kind in their order, so that reading it is the proof of its form.
 */
export function parseBody(stored: string): ParsedBody {
  if (stored.length > ROW_BYTES_MAX) return { ok: false };
  const form = formOf(stored);
  const values = form === undefined ? undefined : readValues(stored, form);
  return form === undefined || values === undefined ? { ok: false } : { ok: true, body: new StoredBody(form, values) };
}

/** The members of a kind in canonical order, each with the text that stands before its value. */
interface Form {
  readonly kind: RowFields['kind'];
  readonly steps: readonly { readonly key: string; readonly before: string; readonly check: Check }[];
  readonly at: Readonly<Record<'log' | 'epoch' | 'idx' | 'prev' | 'wall' | 'mono' | 'pc' | 'pc_bytes', number>>;
}

const FORMS: ReadonlyMap<string, Form> = new Map(KINDS.map((kind) => [kind, formFor(kind)]));

function formFor(kind: RowFields['kind']): Form {
  const shape = SHAPES.get(kind) ?? [];
  const keys = shape.map(([key]) => key);
  const at = (key: string): number => keys.indexOf(key);
  return {
    kind,
    steps: shape.map(([key, check], index) => ({ key, before: `${index === 0 ? '{' : ','}"${key}":`, check })),
    at: { log: at('log'), epoch: at('epoch'), idx: at('idx'), prev: at('prev'), wall: at('wall'), mono: at('mono'), pc: at('pc'), pc_bytes: at('pc_bytes') },
  };
}

const KIND = '"kind":"';

/** Inside a string every quote is escaped, so the first such text is the member; if it were not, the walk would fail. */
function formOf(stored: string): Form | undefined {
  const from = stored.indexOf(KIND);
  if (from === -1) return undefined;
  return FORMS.get(stored.slice(from + KIND.length, stored.indexOf('"', from + KIND.length)));
}

type Value = string | number | null;

/** A string without escapes, a whole number, and a string with escapes or surrogates, each at lastIndex. */
const PLAIN = /"[\x20\x21\x23-\x5b\x5d-\ud7ff\ue000-\uffff]*"/y;
const WHOLE = /(?:0|[1-9][0-9]{0,15})(?![0-9])/y;
const ESCAPED = /"(?:[^"\\]|\\.)*"/sy;

function readValues(stored: string, { steps, at: places }: Form): Value[] | undefined {
  const values: Value[] = [];
  let at = 0;
  for (const { before, check } of steps) {
    if (!stored.startsWith(before, at)) return undefined;
    at += before.length;
    const read = readValue(stored, at);
    if (read === undefined || !check(read.value)) return undefined;
    values.push(read.value);
    at = read.end;
  }
  if (at !== stored.length - 1 || stored[at] !== '}') return undefined;
  return (values[places.pc] === null) === (values[places.pc_bytes] === null) ? values : undefined;
}

function readValue(stored: string, at: number): { readonly value: Value; readonly end: number } | undefined {
  const first = stored[at];
  if (first === 'n') return stored.startsWith('null', at) ? { value: null, end: at + 4 } : undefined;
  if (first === '"') return readString(stored, at);
  WHOLE.lastIndex = at;
  if (!WHOLE.test(stored)) return undefined;
  return { value: Number(stored.slice(at, WHOLE.lastIndex)), end: WHOLE.lastIndex };
}

function readString(stored: string, at: number): { readonly value: string; readonly end: number } | undefined {
  PLAIN.lastIndex = at;
  if (PLAIN.test(stored)) return { value: stored.slice(at + 1, PLAIN.lastIndex - 1), end: PLAIN.lastIndex };
  ESCAPED.lastIndex = at;
  if (!ESCAPED.test(stored)) return undefined;
  const end = ESCAPED.lastIndex;
  const token = stored.slice(at, end);
  const value = unquoted(token);
  return value === undefined ? undefined : { value, end };
}

/** The text of a JSON string, if the string is written as canonical JSON writes it. */
function unquoted(token: string): string | undefined {
  try {
    const value: JsonValue = JSON.parse(token);
    return typeof value === 'string' && canonicalJson(value) === token ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A body that was read: the members are gathered only if somebody asks for them. */
class StoredBody implements RowBody {
  readonly log: string;
  readonly epoch: number;
  readonly idx: number;
  readonly prev: string;
  readonly wall: number;
  readonly mono: number;
  readonly kind: RowFields['kind'];
  readonly commitment: Commitment | null;
  readonly #form: Form;
  readonly #values: readonly Value[];

  constructor(form: Form, values: readonly Value[]) {
    const { at, kind } = form;
    this.log = textAt(values, at.log);
    this.epoch = numberAt(values, at.epoch);
    this.idx = numberAt(values, at.idx);
    this.prev = textAt(values, at.prev);
    this.wall = numberAt(values, at.wall);
    this.mono = numberAt(values, at.mono);
    this.kind = kind;
    this.commitment = values[at.pc] === null ? null : { pc: textAt(values, at.pc), bytes: numberAt(values, at.pc_bytes) };
    this.#form = form;
    this.#values = values;
  }

  get members(): JsonObject {
    const members = emptyObject();
    for (const [index, { key }] of this.#form.steps.entries()) members[key] = this.#values[index] ?? null;
    return members;
  }
}

/** The checks of the common members have passed: a value of another type is a bug here. */
function textAt(values: readonly Value[], at: number): string {
  const value = values[at];
  if (typeof value !== 'string') throw new TypeError('a common member has another type than its check says');
  return value;
}

function numberAt(values: readonly Value[], at: number): number {
  const value = values[at];
  if (typeof value !== 'number') throw new TypeError('a common member has another type than its check says');
  return value;
}

const GENESIS = utf8('mcp-bastion/genesis/1');
const PAYLOAD = utf8('mcp-bastion/payload/1\0');

/** What the first row of an epoch names as the row before: SHA-256 of a label and the 16 bytes of the log's id. */
export function genesisHash(log: Uint8Array): Uint8Array {
  return sha256(concatBytes(GENESIS, log));
}

/** The bytes whose SHA-256 commits to a payload: label, salt (32 bytes), length (u64), the redacted bytes. */
export function payloadPreimage(salt: Uint8Array, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PAYLOAD.length + salt.length + 8 + data.length);
  const at = PAYLOAD.length + salt.length;
  bytes.set(PAYLOAD);
  bytes.set(salt, PAYLOAD.length);
  new DataView(bytes.buffer).setBigUint64(at, BigInt(data.length));
  bytes.set(data, at + 8);
  return bytes;
}
