// SPDX-License-Identifier: Apache-2.0
/**
 * What one audit row says. Every kind has a fixed set of keys; a key that does not apply is null, never absent, so that
 * a reader can tell "none" from "left out". The body that is hashed is the canonical JSON of RowBody.
 */

/** The first member of every row body: format and version. */
export const ROW_FORMAT = 'mcp-bastion/audit/1';

export type Direction = 'c2s' | 's2c';
export type RowDecision = 'allow' | 'alert' | 'deny' | 'hold';

/** One message of the traffic: what it was, who sent it, what was decided. */
export interface TrafficRow {
  readonly [key: string]: string | number | null;
  /** `call`: a tools/call request; `result`: the answer to one; `message`: all else; `drop`: refused for its form. */
  readonly kind: 'call' | 'result' | 'message' | 'drop';
  /** Joins a request with its answer: 32 hex digits, made by the gateway. */
  readonly call_id: string | null;
  readonly tenant: string | null;
  readonly principal: string;
  /** 16 hex digits per client connection. */
  readonly session: string;
  readonly server: string;
  readonly dir: Direction;
  /** Who made the message: the peer of this direction, or the gateway itself. */
  readonly origin: 'client' | 'server' | 'gateway';
  readonly type: 'request' | 'notification' | 'result' | 'error' | 'unreadable';
  /** The method (of the request, for an answer); `method#` and 8 hex digits where no revision defines it. */
  readonly method: string | null;
  /** `tool#` and 8 hex digits. */
  readonly tool: string | null;
  /** The JSON-RPC id: integers of up to 9 digits as they are, anything else as `id#` and 8 hex digits. */
  readonly rpc: string | null;
  readonly decision: RowDecision;
  /** Where the deciding rule stands in the policy, such as `deny_tools[0]`. */
  readonly rule: string | null;
  /** A stable code of errors.ts where the decision is not a plain allow. */
  readonly code: string | null;
  /** `ok`, `error` (JSON-RPC error) or `tool_error` (isError) for answers. */
  readonly status: string | null;
  /** SHA-256 of the policy document, hex. */
  readonly policy: string;
  /** Bytes of the message as received. */
  readonly bytes: number;
  /** Values that redaction replaced in what is forwarded. */
  readonly redactions: number;
  /** Microseconds from the request's arrival to this answer's. */
  readonly us: number | null;
}

/** A change of pins, or a whole listing that was judged. */
export interface PinRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'pin';
  readonly server: string;
  readonly session: string;
  readonly tool: string | null;
  readonly change: 'listed' | 'new' | 'drift' | 'removed' | 'accepted';
  /** SHA-256 of the tool object's canonical JSON; for `listed`, of all digests in order. */
  readonly digest: string;
  readonly was: string | null;
  readonly decision: RowDecision;
  readonly code: string | null;
  /** Tools in the listing, for `listed`. */
  readonly count: number | null;
  readonly policy: string;
}

/** First row of each start: what is running and under which promise. */
export interface BootRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'boot';
  readonly version: string;
  readonly node: string;
  readonly server: string;
  readonly session: string;
  readonly policy: string;
  readonly mode: 'enforce';
  readonly order: 'strict' | 'intent' | 'response';
  readonly signature: 'per-commit' | 'per-row';
  readonly payload: 'none' | 'redacted';
  /** SHA-256 of the audit key's SubjectPublicKeyInfo, hex. */
  readonly key: string;
  readonly key_custody: 'file' | 'ephemeral';
  /** Origin, size and root (hex) of the epoch before this one in the same log. */
  readonly prev_origin: string | null;
  readonly prev_size: number | null;
  readonly prev_root: string | null;
}

/** Last row of an orderly end. */
export interface CloseRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'close';
  readonly session: string;
  readonly reason: string;
}

export type RowFields = TrafficRow | PinRow | BootRow | CloseRow;

/**
 * Text kept beside a row, erasable; the row itself holds only the salted commitment of its redacted bytes (`pc`, hex, and
 * `pc_bytes`). Redaction happens in the log's own thread, before anything of it is hashed or stored.
 */
export interface RowPayload {
  /** `application/json`: strings and keys are redacted one by one; `text/plain`: the text as one string. */
  readonly media: 'application/json' | 'text/plain';
  /** The text before redaction. */
  readonly text: string;
}

/** A row before it has its place in the log. */
export interface RowDraft {
  readonly fields: RowFields;
  readonly payload: RowPayload | null;
  /** Milliseconds since 1970. */
  readonly wall: number;
  /** Microseconds since an arbitrary start, never going back within one boot. */
  readonly mono: number;
}

/** What a durable row can be shown by. */
export interface RowReceipt {
  readonly origin: string;
  readonly idx: number;
  /** Hex. */
  readonly leaf: string;
  /** Size of the tree that the covering checkpoint signs. */
  readonly size: number;
}
