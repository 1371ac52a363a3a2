// SPDX-License-Identifier: Apache-2.0
/** Limits of the audit log beyond its core, of bundles and of its keys. Each has its unit and its reason. */

/** Bytes of the file of known audit keys: one line for each place that ever held a key. */
export const KNOWN_KEYS_BYTES_MAX: number = 1024 * 1024;
/** Bytes of the file that keeps room on the disk for the results of calls that were admitted before it filled up. */
export const AUDIT_RESERVE_BYTES: number = 4 * 1024 * 1024;
/** Admitted calls whose results have a place in the queue; the oldest loses it first, as servers may never answer. */
export const AUDIT_RESERVED_ROWS_MAX = 1024;
/** Milliseconds that the oldest row may wait before new calls are refused: the disk does not keep up. */
export const AUDIT_STALL_MS_MAX = 5000;
/** Milliseconds until a storage that failed is looked at again; each further look waits twice as long. */
export const AUDIT_RETRY_MS_MIN = 1000;
/** The same, at most. */
export const AUDIT_RETRY_MS_MAX = 30_000;
/** Milliseconds by which the clock may drift against the monotonic one before a row says so: NTP slews far less. */
export const CLOCK_JUMP_MS = 2000;
/** Mebibytes of a segment by default: a verifier reads it in some seconds. */
export const SEGMENT_MB_DEFAULT = 256;
/** The same, at most. */
export const SEGMENT_MB_MAX = 65_536;
/** Days of a segment by default. */
export const SEGMENT_DAYS_DEFAULT = 31;
/** Days for which segments are kept by default: 13 months. */
export const KEEP_DAYS_DEFAULT = 396;
/** Days for which segments may be kept: a hundred years. */
export const KEEP_DAYS_MAX = 36_525;
/** UTF-16 units of the proof of one row: its body and 53 hashes in base64, and a note. */
export const PROOF_LENGTH_MAX: number = 256 * 1024;
/** Rows of one evidence bundle: each has a file of its own. */
export const BUNDLE_ROWS_MAX = 10_000;
/** Files of one evidence bundle: a proof for each row, and a handful of others. */
export const BUNDLE_FILES_MAX: number = BUNDLE_ROWS_MAX + 16;
/** Bytes of all files of one evidence bundle, which a verifier holds at once. */
export const BUNDLE_BYTES_MAX: number = 512 * 1024 * 1024;
/** Readers of sealed payloads: each takes 1,160 bytes of each payload. */
export const READERS_MAX = 8;
/** Bytes of a reader's identity file. */
export const READER_IDENTITY_BYTES_MAX = 8192;
