// SPDX-License-Identifier: Apache-2.0
/** Limits of the policy language, redaction and what works with policies. Each has its unit and its reason. */

/** Milliseconds for which a changed policy file is left alone before it is read: editors write in steps. */
export const POLICY_SETTLE_MS = 250;
/** Milliseconds between looks at the policy file where the file system tells of no change. */
export const POLICY_POLL_MS = 5000;
/** Milliseconds after which no message can still be judged by a policy that was replaced: a held call, a slow listing. */
export const POLICY_CLOSE_MS = 120_000;

/** Bytes of receipts, or of a copy of an anchor file, that a verifier takes: some 20,000 lines of a checkpoint each. */
export const KEPT_EVIDENCE_BYTES_MAX: number = 64 * 1024 * 1024;

/** Milliseconds that the keychain has for an answer: a person may have to type the password of the desktop. */
export const KEYCHAIN_MS_MAX = 60_000;
/** Kinds of changed decisions that a replay tells apart, and the first rows that it names of each. */
export const REPLAY_GROUPS_MAX = 200;
export const REPLAY_EXAMPLES = 3;
/** Bytes of a list of tool names. */
export const REPLAY_NAMES_BYTES_MAX: number = 4 * 1024 * 1024;

/** UTF-16 units of one text that are screened: at worst 0.6 s in the worker. What is beyond is reported as not screened. */
export const SCREEN_TEXT_LENGTH_MAX: number = 1024 * 1024;
/** Tests in one file. */
export const POLICY_TESTS_MAX = 2000;

/** UTF-16 units of a run of base64 or hexadecimal that is decoded: 12 bytes, or 8; no credential is shorter. */
export const DECODED_RUN_LENGTH_MIN = 16;
/** Encodings inside one another that redaction looks through. */
export const DECODED_DEPTH_MAX = 3;
/** Times its own length that a text may take when it is decoded; what takes more is masked as not checked. */
export const DECODED_FACTOR_MAX = 12;
/** UTF-16 units on each side of the place where two strings meet, in which a secret is looked for that both share. */
export const SPLIT_LENGTH_MAX = 4096;
/** Times the length of neighbouring strings that finding out what exactly they share may take. */
export const SPLIT_FACTOR_MAX = 16;
/** Names of members that redaction remembers, whether they name secrets. */
export const MEMBER_NAMES_MAX = 4096;
/** Spellings of one text that a rule compares. */
export const READINGS_MAX = 48;
/** UTF-16 units of a text that are read as a path, a URL or another spelling of a word. */
export const READING_LENGTH_MAX: number = 16 * 1024;
/** UTF-16 units of all texts of one call that are read so; beyond them a text could mean anything. */
export const READINGS_LENGTH_MAX: number = 512 * 1024;
/** Parts of a text that are each read as a path. */
export const READING_PIECES_MAX = 32;
/** UTF-16 units of a text that a glob is compared with: contents longer than this are for regular expressions. */
export const GLOB_TEXT_LENGTH_MAX: number = 256 * 1024;
/** UTF-16 units of a text in which numbers are looked for. */
export const NUMBER_TEXT_LENGTH_MAX = 1024;
/** Values that one condition looks at: beyond them it is taken to hold where it forbids, and not to where it permits. */
export const ARGUMENT_VALUES_MAX = 4096;
/** Milliseconds that redaction in the worker may take more for each MiB where encodings are looked through: usual ones take 150. */
export const REDACTION_DECODE_MS_PER_MIB = 1000;
/** UTF-16 units of a value that is redacted on the event loop where encodings are looked through: some milliseconds. */
export const REDACTION_DECODE_INLINE_LENGTH_MAX: number = 16 * 1024;
/** Counters of all limits of a policy: one for each principal, server or tool that is counted apart. */
export const LIMIT_COUNTERS_MAX = 20_000;
/** Conditions of one rule. */
export const POLICY_CONDITIONS_MAX = 32;
/** Milliseconds of the longest window of a limit: a week. */
export const LIMIT_WINDOW_MS_MAX: number = 7 * 86_400_000;
