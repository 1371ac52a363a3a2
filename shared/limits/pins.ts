// SPDX-License-Identifier: Apache-2.0
/** Limits of pins, snapshots and their comparison. Each has its unit and its reason. */

/** Refused digests of one pin that are remembered: a person reads each before refusing it. */
export const PIN_REJECTIONS_MAX = 32;
/** Changed or new things of one server that wait for a person: what it may list at once. */
export const PINS_PENDING_MAX = 10_000;
/** Bytes of what a state folder remembers of the pins of one server: 10,000 names of 512 characters, twice. */
export const PIN_STATE_BYTES_MAX: number = 32 * 1024 * 1024;
/** Servers of all lockfiles that a state folder remembers pins of. */
export const PIN_STATES_MAX = 4096;
/** Bytes of one object that is kept for comparison: the largest real tools have some 100 KiB. */
export const SNAPSHOT_BYTES_MAX: number = 1024 * 1024;
/** Objects that are kept for comparison. */
export const SNAPSHOTS_MAX = 20_000;
/** Bytes of all of them. */
export const SNAPSHOTS_BYTES_MAX: number = 256 * 1024 * 1024;
/** Words of one text that are compared one by one; of a longer one, what is between its equal ends is shown whole. */
export const DIFF_WORDS_MAX = 2000;
/** Changes of one object that are shown. */
export const DIFF_CHANGES_MAX = 500;
/** Levels of a schema that are compared; what is deeper counts as one value. */
export const DIFF_DEPTH_MAX = 16;
/** Words of one description that are looked up among other servers' tools. */
export const SHADOW_WORDS_MAX = 256;
/** Tools of one server whose names are compared letter by letter; the rest are compared as a whole only. */
export const SHADOW_TOOLS_MAX = 500;
/** Alerts about confusable tools in the life of a process: each is said once. */
export const SHADOW_ALERTS_MAX = 1000;
