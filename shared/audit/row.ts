// SPDX-License-Identifier: Apache-2.0
/**
 * What one audit row says. Every kind has a fixed set of keys; a key that does not apply is null, never absent, so that
 * a reader can tell "none" from "left out". The body that is hashed is the canonical JSON of RowBody.
 */

/** The first member of every row body: format and version. */
export const ROW_FORMAT = 'mcp-bastion/audit/1';

/** Media type of a payload that is sealed for its readers: what it commits to is not seen without their keys. */
export const SEALED_MEDIA = 'application/vnd.mcp-bastion.sealed';

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
  /** What is pinned. */
  readonly item: 'tool' | 'prompt' | 'template' | 'resource' | 'instructions';
  readonly change: 'listed' | 'new' | 'drift' | 'removed' | 'accepted' | 'rejected' | 'shadow';
  /** SHA-256 of the tool object's canonical JSON; for `listed`, of all digests in order. */
  readonly digest: string;
  readonly was: string | null;
  readonly decision: RowDecision;
  readonly code: string | null;
  /** Tools in the listing, for `listed`. */
  readonly count: number | null;
  readonly policy: string;
}

/** One step of an approval: a held call, a person's decision, its use. */
export interface ApprovalRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'approval';
  readonly server: string;
  readonly session: string;
  readonly principal: string;
  readonly tool: string | null;
  /** 64 hex digits: SHA-256 of the canonical ticket; null where an attempt named none. */
  readonly ticket: string | null;
  readonly change: 'held' | 'approved' | 'denied' | 'redeemed' | 'expired' | 'void' | 'refused';
  /** Name of the approver, and SHA-256 of his key's SubjectPublicKeyInfo, hex. */
  readonly approver: string | null;
  readonly key: string | null;
  /** The signature over the ticket, base64. */
  readonly signature: string | null;
  /** Why an attempt was refused. */
  readonly code: string | null;
  /** How many attempts the row stands for. */
  readonly count: number | null;
  readonly policy: string;
}

/** A policy that was loaded while the gateway runs, or refused. */
export interface PolicyRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'policy';
  readonly session: string;
  readonly change: 'loaded' | 'refused';
  /** SHA-256 of the document in force before, hex. */
  readonly was: string;
  /** SHA-256 of the new document, hex; in force from this row on if it was loaded. */
  readonly policy: string;
  readonly code: string | null;
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
  readonly mode: 'enforce' | 'observe';
  readonly order: 'strict' | 'intent' | 'response';
  readonly signature: 'per-commit' | 'per-row';
  /** `sealed`: redacted, and encrypted to readers before it is stored. */
  readonly payload: 'none' | 'redacted' | 'sealed';
  /** SHA-256 of the audit key's SubjectPublicKeyInfo, hex. */
  readonly key: string;
  readonly key_custody: 'file' | 'keychain' | 'systemd-credential' | 'ephemeral';
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

/** Hands the log over to another key: the old one signs over the new one. Last row of its epoch. */
export interface RotateRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'rotate';
  readonly session: string;
  /** SHA-256 of the SPKI of the key that signs this epoch, and of the one that signs the next, hex. */
  readonly key: string;
  readonly next: string;
}

/** First row after a time in which the log could not be written. */
export interface GapRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'gap';
  readonly session: string;
  /** Milliseconds since 1970: when it began and ended. */
  readonly from: number;
  readonly to: number;
  /** Calls that were refused meanwhile. */
  readonly rejected: number;
  /** Rows that waited when it began, and were lost: their messages did not move, or under an order that is not strict may have. */
  readonly lost: number;
  readonly reason: 'full' | 'storage' | 'stalled';
}

/** The clock did not go on as the monotonic one did. */
export interface TimeRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'time';
  readonly session: string;
  readonly change: 'jump';
  /** Milliseconds since 1970 that the clock would have shown; what it shows is the row's own time. */
  readonly expected: number;
}

/** What was taken away: the payload of a row, or by retention all segments up to one. Durable before it happens. */
export interface EraseRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'erase';
  readonly session: string;
  readonly scope: 'payload' | 'segment';
  /** Whose payload, or up to which epoch. */
  readonly of_epoch: number;
  /** For a payload: its row. */
  readonly row: number | null;
  /** For segments: where the last of them ended. */
  readonly size: number | null;
  readonly root: string | null;
  readonly reason: 'request' | 'retention';
}

/** A person accepted that rows are lost: those from `from` up to `to` of an epoch, whose signed root was this. */
export interface RecoverRow {
  readonly [key: string]: string | number | null;
  readonly kind: 'recover';
  readonly session: string;
  readonly of_epoch: number;
  readonly from: number;
  readonly to: number;
  /** Hex; null if no checkpoint of the lost rows is left. */
  readonly root: string | null;
}

export type RowFields = TrafficRow | PinRow | ApprovalRow | PolicyRow | BootRow | CloseRow | RotateRow | GapRow | TimeRow | EraseRow | RecoverRow;

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
