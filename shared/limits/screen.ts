// SPDX-License-Identifier: Apache-2.0
/** Limits of the classifier. Each has its unit and its reason. */

/** UTF-16 units of all that is decoded from one text: a decoded view costs as much as its length in plain text. */
export const SCREEN_VIEWS_LENGTH_MAX: number = 1024 * 1024;
/** Texts hidden in one text that are judged by themselves: honest pages have some dozen comments. */
export const SCREEN_RUNS_MAX = 512;
/** Layers of encoding that are taken off: base64 within base64 is seen, what is deeper no reader undoes. */
export const SCREEN_VIEW_DEPTH_MAX = 2;
/** UTF-16 units of one word; the rest of a longer run of letters counts as the next word. */
export const SCREEN_WORD_LENGTH_MAX = 32;
/** Bytes of a file of weights. */
export const SCREEN_MODEL_BYTES_MAX: number = 1024 * 1024;
/** UTF-16 units up to which texts are scored on the event loop: some 1 ms, at worst 5 ms. */
export const SCREEN_INLINE_LENGTH_MAX: number = 8 * 1024;
/** Strings of one tool or result that are screened: they are gathered and handed over on the event loop. */
export const SCREEN_TEXTS_MAX = 20_000;
/** UTF-16 units of all strings of one tool or result that are screened. */
export const SCREEN_MESSAGE_LENGTH_MAX: number = 8 * 1024 * 1024;
/** Requests that wait for the worker; one more fails, by configuration open or closed. */
export const SCREEN_QUEUE_MAX = 1024;
/** UTF-16 units of the texts that wait for the worker. */
export const SCREEN_QUEUE_LENGTH_MAX: number = 64 * 1024 * 1024;
/** Scores kept by the digest of their text: descriptions come again with each listing. */
export const SCREEN_CACHE_MAX = 16_384;
/** Milliseconds that one request may take from its turn in the worker to its answer. */
export const SCREEN_MS_MAX = 10_000;
/** Milliseconds that the worker may take to start and read its weights. */
export const SCREEN_START_MS_MAX = 15_000;
