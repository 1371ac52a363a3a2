// SPDX-License-Identifier: Apache-2.0
/** Reads a server's HTTP responses: what kind of body, how much of it, and what a failure is called. */
import type { Unavailable } from '../../shared/errors.ts';
import type { FrameEvent } from '../../shared/frame/ndjson.ts';
import { OVERSIZE_KEEP_BYTES } from '../../shared/limits.ts';
import { mediaType } from '../front/headers.ts';
import type { Refuse } from '../exchange/verdict.ts';
import { refuse } from '../exchange/verdict.ts';
import type { UpstreamResponse } from './http.ts';

/** By media type, in any spelling; a type that is not known is never passed on. */
export function kindOf(response: UpstreamResponse): 'json' | 'events' | 'other' {
  const type = mediaType(response.header('content-type') ?? '');
  if (type === 'application/json') return 'json';
  return type === 'text/event-stream' ? 'events' : 'other';
}

/** The whole body as one frame; one that is too long is reported by its ends. */
export async function readBounded(response: UpstreamResponse, bytesMax: number): Promise<FrameEvent> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes > bytesMax) {
      const kept = Buffer.concat(chunks);
      return { kind: 'oversize', bytes, head: kept.subarray(0, OVERSIZE_KEEP_BYTES), tail: kept.subarray(-OVERSIZE_KEEP_BYTES) };
    }
  }
  return { kind: 'frame', bytes: Buffer.concat(chunks) };
}

/** The connection failed. */
export function unreachable(error: Unavailable): Refuse {
  return refuse(error.code, error.message, error.hint);
}

/** The session at the server ended (2025-11-25: 404): the client has to initialize again. */
export function sessionLost(): Refuse {
  return { ...refuse('SESSION_LOST', "the server's session ended", 'start the connection again'), status: 404 };
}

/** A stream that ended before its answer. */
export function endedEarly(): Refuse {
  return refuse('UPSTREAM_GONE', 'the server ended its stream before it answered', 'try again; the call may have been executed');
}

/** A success without an answer in it. */
export function notAnswered(): Refuse {
  return refuse('RESULT_INVALID', 'the server took the request and sent no answer to it', 'the server does not follow the protocol; its vendor can mend it');
}

const HTTP_SERVER_ERROR = 500;
/** Unauthorized, Forbidden, Proxy Authentication Required: the server, or what stands before it, wants a credential. */
const CREDENTIAL_WANTED: ReadonlySet<number> = new Set([401, 403, 407]);

/**
 * Whether the body of a response can be the answer. What is said about the gateway's credential is for the operator: a
 * client would take it for its own.
 */
export function mayHoldAnswer(status: number): boolean {
  return status < 300 || (status >= 400 && !CREDENTIAL_WANTED.has(status));
}

/** Any other status. Those of the 400s are kept, because clients tell the revisions of a server by them. */
export function badStatus(status: number): Refuse {
  if (CREDENTIAL_WANTED.has(status)) {
    return refuse('UPSTREAM_AUTH', `the server refused the gateway's credential (HTTP ${status})`, 'the operator has to set the credential of this server');
  }
  if (status >= 300 && status < 400) {
    return refuse('UPSTREAM_STATUS', `the server answered with a redirect (HTTP ${status}), which is never followed`, 'the operator has to configure the address it points to');
  }
  const refusal = refuse('UPSTREAM_STATUS', `the server answered HTTP ${status}`, 'see the log of the server');
  return status >= 400 && status < HTTP_SERVER_ERROR ? { ...refusal, status } : refusal;
}
