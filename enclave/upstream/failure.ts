// SPDX-License-Identifier: Apache-2.0
/**
 * Why an exchange with a server failed, in our words: what runtimes write into their errors holds addresses, names and
 * bytes of the peer. The codes are those of Node, OpenSSL and undici (`UND_ERR_`).
 */
import { Unavailable } from '../../shared/errors.ts';
import { UPSTREAM_HEADER_BYTES_MAX } from '../../shared/limits.ts';
import { NAME_HINT } from './guard.ts';

const RUNNING = 'check that the server runs and that its URL is right';
const CERTIFICATE = 'the certificate must be valid, name this host, and come from a known authority or the one that the configuration names';

const LENGTH_MISMATCH = 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH';

/** Each: what the code means, and what to do. */
const REASONS: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['ECONNREFUSED', ['the server refuses connections', RUNNING]],
  ['ENOTFOUND', ["the server's name has no address", NAME_HINT]],
  ['ENODATA', ["the server's name has no address", NAME_HINT]],
  ['EAI_AGAIN', ["the server's name cannot be looked up now", 'check the network and try again']],
  ['EHOSTUNREACH', ['the server cannot be reached', 'check the network and the URL of the server']],
  ['ENETUNREACH', ['the server cannot be reached', 'check the network and the URL of the server']],
  ['ETIMEDOUT', ['the server does not answer in time', RUNNING]],
  ['UND_ERR_CONNECT_TIMEOUT', ['the server does not answer in time', RUNNING]],
  ['UND_ERR_HEADERS_TIMEOUT', ['the server does not answer in time', RUNNING]],
  ['ECONNRESET', ['the server closed the connection', RUNNING]],
  ['EPIPE', ['the server closed the connection', RUNNING]],
  ['UND_ERR_SOCKET', ['the server closed the connection', RUNNING]],
  [LENGTH_MISMATCH, ['the server ended its answer too early', RUNNING]],
  ['UND_ERR_ABORTED', ['the answer was given up', 'send the request again']],
  ['UND_ERR_CLOSED', ['the connections to servers are closed', 'start again']],
  ['UND_ERR_DESTROYED', ['the connections to servers are closed', 'start again']],
  ['ERR_TLS_CERT_ALTNAME_INVALID', ["the server's certificate names another host", CERTIFICATE]],
  ['CERT_HAS_EXPIRED', ["the server's certificate has expired", CERTIFICATE]],
  ['CERT_NOT_YET_VALID', ["the server's certificate is not valid yet", CERTIFICATE]],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', ["the server's certificate is not from a known authority", CERTIFICATE]],
  ['SELF_SIGNED_CERT_IN_CHAIN', ["the server's certificate is not from a known authority", CERTIFICATE]],
  ['UNABLE_TO_GET_ISSUER_CERT', ["the server's certificate is not from a known authority", CERTIFICATE]],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', ["the server's certificate is not from a known authority", CERTIFICATE]],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', ["the server's certificate is not from a known authority", CERTIFICATE]],
  ['EPROTO', ['the server does not speak TLS as it should', 'check whether the URL wants http or https']],
]);

/** The failure that an error of the runtime stands for, while the headers of an answer were awaited or its body read. */
export function explainFailure(error: unknown, stage: 'headers' | 'body'): Unavailable {
  if (error instanceof Unavailable) return error;
  const code = codeOf(error);
  // For a bad header the parser complains of the length that it did not get to.
  if (isParserError(error) || (code === LENGTH_MISMATCH && stage === 'headers')) {
    return new Unavailable('UPSTREAM_PROTOCOL', "the server's answer is not valid HTTP/1.1", SERVER_HINT, error);
  }
  const reason = REASONS.get(code);
  if (reason !== undefined) return new Unavailable('UPSTREAM_UNREACHABLE', ...reason, error);
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new Unavailable('UPSTREAM_PROTOCOL', `the server's headers are longer than ${UPSTREAM_HEADER_BYTES_MAX} bytes`, SERVER_HINT, error);
  }
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) {
    return new Unavailable('UPSTREAM_UNREACHABLE', `no TLS connection came about (${code})`, 'check whether the URL wants http or https', error);
  }
  return new Unavailable('UPSTREAM_UNREACHABLE', `the exchange with the server failed (${code})`, RUNNING, error);
}

/** What to do about a server that breaks the protocol. */
export const SERVER_HINT = 'look at the server, or at the proxy before it';

/** undici's parser errors are told by their name: they have no code. */
function isParserError(error: unknown): boolean {
  return error instanceof Error && error.name === 'HTTPParserError';
}

/** The code of an error, if it has one that is safe to show. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return 'UNKNOWN';
  return typeof error.code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(error.code) ? error.code : 'UNKNOWN';
}
