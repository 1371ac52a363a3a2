// SPDX-License-Identifier: Apache-2.0
/**
 * Every bound on hostile input, with its unit and the reason for its size. Nothing in the product reads, queues or
 * repeats without one of these names.
 */

/** Bytes of one JSON-RPC message: above any result seen in practice (images travel as base64), below what hurts. */
export const MESSAGE_BYTES_MAX: number = 16 * 1024 * 1024;
/** Nesting of one message: JSON Schemas of real tools stay under 40. */
export const JSON_DEPTH_MAX = 128;
/** Values (scalars, arrays, objects) in one message. */
export const JSON_NODES_MAX = 1_000_000;
/** Elements of one JSON-RPC batch. */
export const BATCH_ELEMENTS_MAX = 64;
/** UTF-16 units of a string request id. */
export const ID_LENGTH_MAX = 256;
/** UTF-16 units of a method name. */
export const METHOD_LENGTH_MAX = 128;
/** UTF-16 units of a tool name: the specification asks for 128, real servers exceed it. */
export const TOOL_NAME_LENGTH_MAX = 512;
/** Requests of one direction that wait for their response. */
export const IN_FLIGHT_MAX = 1024;
/** Bytes at each end of an over-long line that are kept, to find the id it answers. */
export const OVERSIZE_KEEP_BYTES = 512;

/** Pages of one listing made by the gateway. */
export const LISTING_PAGES_MAX = 64;
/** Tools of one server. */
export const LISTING_TOOLS_MAX = 10_000;
/** Bytes of all pages of one listing: some hundred times what real servers list. */
export const LISTING_BYTES_MAX: number = 32 * 1024 * 1024;
/** Milliseconds that one whole listing may take. */
export const LISTING_MS_MAX = 15_000;
/** Listings whose cursors a client may still follow. */
export const LISTING_SNAPSHOTS_MAX = 4;

/** Bytes of a policy document. */
export const POLICY_BYTES_MAX: number = 1024 * 1024;
/** Entries of one list in a policy. */
export const POLICY_LIST_MAX = 4096;
/** UTF-16 units of a glob. */
export const GLOB_LENGTH_MAX = 512;
/** UTF-16 units of a regular expression. */
export const PATTERN_LENGTH_MAX = 1024;
/** UTF-16 units of what a match is replaced with: bounds how much redaction can make a message grow. */
export const REPLACEMENT_LENGTH_MAX = 128;
/** Milliseconds that redaction of one message may take, checked between patterns. */
export const REDACTION_MS_MAX = 250;
/** Bytes of a string that is redacted on the event loop; longer ones go to a worker. */
export const REDACTION_INLINE_BYTES_MAX: number = 256 * 1024;
/** Milliseconds that the redaction worker may take to start; the budget of a message begins after it. */
export const REDACTION_START_MS_MAX = 10_000;

/** Rows of one commit group. */
export const COMMIT_ROWS_MAX = 256;
/** Bytes of row bodies and payloads of one commit group. */
export const COMMIT_BYTES_MAX: number = 1024 * 1024;
/** Rows that wait for their commit. */
export const AUDIT_QUEUE_ROWS_MAX = 4096;
/** Bytes that wait for their commit. */
export const AUDIT_QUEUE_BYTES_MAX: number = 64 * 1024 * 1024;
/** Milliseconds after which a row that is not durable counts as lost: the log is then unavailable. */
export const AUDIT_APPEND_MS_MAX = 10_000;
/** Bytes of one row's canonical body. */
export const ROW_BYTES_MAX: number = 64 * 1024;
/** Bytes of one stored payload; a longer one is stored as its size and commitment. */
export const PAYLOAD_BYTES_MAX: number = 1024 * 1024;
/** UTF-16 units of a checkpoint note: 16 signature lines of ML-DSA-44. */
export const NOTE_LENGTH_MAX: number = 64 * 1024;
/** Signature lines of one note. */
export const NOTE_SIGNATURES_MAX = 16;
/** UTF-16 units of one line of an anchor file: a note in JSON. */
export const ANCHOR_LINE_LENGTH_MAX: number = 72 * 1024;
/** Checkpoints between two anchor lines. */
export const ANCHOR_CHECKPOINTS_MAX = 64;
/** Milliseconds for which a checkpoint may stay without an anchor line. */
export const ANCHOR_MS_MAX = 1000;
/** Rows of a log that are read in whole when it is opened again; of a longer one, those since the last anchor. */
export const RECOVERY_ROWS_MAX = 50_000;
/** Bytes of a trust file: some hundred thousand keys. */
export const TRUST_BYTES_MAX: number = 32 * 1024 * 1024;
/** Milliseconds for which a reader holds one transaction on a log. */
export const READ_TRANSACTION_MS_MAX = 2000;
/** Rows that inspect-log shows at most. */
export const INSPECT_ROWS_MAX = 100_000;
/** Directories below a path that inspect-log looks through for logs. */
export const LOG_TREE_DEPTH_MAX = 4;
/** Slots for logs of one server that are written at the same time. */
export const LOG_SLOTS_MAX = 64;

/** Bytes of one line on an upstream's standard error; the rest of the line is cut. */
export const STDERR_LINE_BYTES_MAX = 4096;
/** Lines of an upstream's standard error that are passed on in one second. */
export const STDERR_LINES_PER_SECOND_MAX = 100;
/** Milliseconds between closing an upstream's standard input and SIGTERM, and from there to SIGKILL. */
export const SHUTDOWN_GRACE_MS = 2000;
/** Milliseconds that a listing may be served from memory, whatever the server's `ttlMs` says. */
export const LISTING_TTL_MS_MAX = 3_600_000;
/** Messages of one direction that may be under way at once. */
export const PIPELINE_MESSAGES_MAX = 256;
/** Bytes of the messages of one direction that may be under way at once. */
export const PIPELINE_BYTES_MAX: number = 64 * 1024 * 1024;
/** Milliseconds that answers may still take after the client closed its side. */
export const DRAIN_MS_MAX = 10_000;
/** Bytes of a pins lockfile: 10,000 tools of one server take about 2 MiB. */
export const LOCKFILE_BYTES_MAX: number = 16 * 1024 * 1024;
/** Pins of one server that are kept: all tools that it may list at once. */
export const PINS_PER_SERVER_MAX = 10_000;
/** Milliseconds to wait for a lock that another process holds. */
export const LOCK_WAIT_MS_MAX = 5000;
