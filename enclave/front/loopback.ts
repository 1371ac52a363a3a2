// SPDX-License-Identifier: Apache-2.0
/** Names and addresses by which only this machine reaches itself. */

/** True for `localhost`, 127.0.0.0/8 and `::1`, with or without brackets, as `URL` and command lines write them. */
export function isLoopbackHost(host: string): boolean {
  return /^(?:localhost|127(?:\.[0-9]{1,3}){3}|::1|\[::1\])$/.test(host.toLowerCase());
}
