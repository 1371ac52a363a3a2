// SPDX-License-Identifier: Apache-2.0
/** Limits of the streams between the parts of the appliance. Each has its unit and its reason. */

/** Bytes of one write to a vsock stream: what emulators take at once (design, section 5). */
export const VSOCK_WRITE_BYTES_MAX: number = 32 * 1024;
/** Connections that wait to be accepted on a vsock port: a full backlog resets the next, it does not make it wait. */
export const VSOCK_BACKLOG = 1024;
/** Bytes of an emulator's answer to CONNECT: "OK " and a number of 32 bits. */
export const HVSOCK_REPLY_BYTES_MAX = 16;
