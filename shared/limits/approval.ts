// SPDX-License-Identifier: Apache-2.0
/** Limits of approvals and of the control API. Each has its unit and its reason. */

/** Approved calls whose server asked for input and that may go on. The oldest has to be approved anew. */
export const CONTINUATIONS_MAX = 4096;

/** Bytes of one ticket: a person reads it in whole before approving, and nobody reads more. */
export const APPROVAL_TICKET_BYTES_MAX: number = 128 * 1024;
/** UTF-16 units of one text of a ticket besides its arguments: principals and origins stay far below. */
export const APPROVAL_TEXT_LENGTH_MAX = 1024;
/** Names of approvers on one ticket. */
export const APPROVERS_MAX = 64;
/** UTF-16 units of the reason of a denial: one line. */
export const APPROVAL_REASON_LENGTH_MAX = 256;
/** Tickets that wait for a decision or for their call, in all. */
export const APPROVALS_OPEN_MAX = 512;
/** The same of one principal: nobody reads more, and none shuts the others out. */
export const APPROVALS_PER_PRINCIPAL_MAX = 32;
/** Bytes of all tickets that wait. */
export const APPROVALS_BYTES_MAX: number = 16 * 1024 * 1024;
/** Decided tickets that are still shown. */
export const APPROVALS_RECENT_MAX = 64;
/** Denied calls whose repetition is denied without asking again, until their ticket's time is over. */
export const APPROVALS_DENIED_MAX = 128;
/** Refused attempts at approving that get a row each in one minute; more of them share one row. */
export const APPROVAL_REFUSALS_PER_MINUTE_MAX = 30;

/** Bytes of a body sent to the control API: a decision has some 500. */
export const CONTROL_BODY_BYTES_MAX: number = 8 * 1024;
/** Bytes of the headers of a request to the control API. */
export const CONTROL_HEADER_BYTES_MAX: number = 8 * 1024;
/** Connections to the control socket of one gateway. */
export const CONTROL_CONNECTIONS_MAX = 64;
/** Requests that wait for a change at one gateway. */
export const CONTROL_WATCHERS_MAX = 16;
/** Milliseconds after which such a request is answered without a change. */
export const CONTROL_WATCH_MS_MAX = 25_000;
/** Milliseconds in which a request to the control API has to have come in whole. */
export const CONTROL_REQUEST_MS_MAX = 5000;
/** Bytes of an answer of the control API that a command reads: all tickets in a line each, with the longest names. */
export const CONTROL_ANSWER_BYTES_MAX: number = 16 * 1024 * 1024;
/** Milliseconds that a command waits for an answer beyond what it asked to wait. */
export const CONTROL_ANSWER_MS_MAX = 10_000;
/** Control sockets of one state folder that a command asks. */
export const CONTROL_SOCKETS_MAX = 256;
/** Bytes of the path of a Unix socket: sun_path of Linux less its end; macOS has 4 fewer. */
export const SOCKET_PATH_BYTES_MAX = 107;

/** Bytes of an approver's key file. */
export const APPROVER_KEY_BYTES_MAX = 4096;
/** Bytes of a passphrase at least: fewer are guessed, whatever the key derivation costs. */
export const PASSPHRASE_BYTES_MIN = 8;
/** Bytes of a passphrase at most. */
export const PASSPHRASE_BYTES_MAX = 1024;
/** scrypt's cost N (RFC 7914) of a key file at least: a guess at the passphrase then takes 128 MiB and some tenths of a second. */
export const SCRYPT_N_MIN: number = 2 ** 17;
/** The same at most: with r = 8 it takes 256 MiB; a hostile key file must not take more. */
export const SCRYPT_N_MAX: number = 2 ** 18;
/** scrypt's parallelisation of a key file at most: it multiplies the time. */
export const SCRYPT_P_MAX = 4;
/** Milliseconds for which a held call may stay open: clients give up after a minute. */
export const APPROVAL_HOLD_MS_MAX = 55_000;
/** Milliseconds until a ticket or an approval is void at the latest: a day. */
export const APPROVAL_MS_MAX = 86_400_000;
