// SPDX-License-Identifier: Apache-2.0
/** Reads the body of a POST: identity-encoded UTF-8 JSON, bounded before anything is kept of it. */
import type { IncomingMessage } from 'node:http';
import { BODIES_BYTES_MAX, BODY_FREE_BYTES, MESSAGE_BYTES_MAX, REQUEST_BODY_MS_MAX } from '../../shared/limits.ts';
import { acceptsBoth, isIdentityEncoded, mediaType, singleHeader } from './headers.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';

/**
 * What a body's headers have to say before it is read; null where they do. `answered`: the response to the POST carries
 * the answer, so the client has to accept both of its kinds.
 */
export function judgeBodyHeaders(rawHeaders: readonly string[], answers: 'answered' | 'only taken' = 'answered'): Refusal | null {
  if (!isIdentityEncoded(rawHeaders)) return refusal(415, 'MEDIA_TYPE', 'the body is compressed or encoded', 'send it as it is, without Content-Encoding');
  // Node passes other codings on unread, such as those of `gzip, chunked`.
  const coding = singleHeader(rawHeaders, 'transfer-encoding');
  if (coding.kind === 'repeated' || (coding.kind === 'one' && coding.value.toLowerCase() !== 'chunked')) {
    return refusal(415, 'MEDIA_TYPE', 'the body is compressed or encoded', 'send it as it is, or chunked');
  }
  const type = singleHeader(rawHeaders, 'content-type');
  if (type.kind !== 'one' || mediaType(type.value) !== 'application/json') {
    return refusal(415, 'MEDIA_TYPE', 'the body is not application/json in UTF-8', 'set Content-Type: application/json');
  }
  const accept = singleHeader(rawHeaders, 'accept');
  if (answers === 'answered' && (accept.kind !== 'one' || !acceptsBoth(accept.value))) {
    return refusal(406, 'ACCEPT_INVALID', 'the client does not accept both kinds of answer', 'set Accept: application/json, text/event-stream');
  }
  const length = singleHeader(rawHeaders, 'content-length');
  return length.kind === 'one' && Number(length.value) > MESSAGE_BYTES_MAX ? tooLarge() : null;
}

function tooLarge(): Refusal {
  return refusal(413, 'FRAME_TOO_LARGE', `the body is longer than ${MESSAGE_BYTES_MAX} bytes`, 'send less in one message');
}

/**
 * Shares what all bodies together may take, from their first byte until their message has been dealt with: a server that
 * takes nothing would have the gateway hold whatever clients send.
 */
export class BodyReader {
  #bytes = 0;

  /** The body, which counts until it is released, a refusal, or null where the client went away. */
  async read(request: IncomingMessage): Promise<Uint8Array | Refusal | null> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    let isKept = false;
    const timer = setTimeout(() => request.destroy(), REQUEST_BODY_MS_MAX);
    try {
      // The request outlives a body that is too long: its client has to be told.
      for await (const chunk of request.iterator({ destroyOnReturn: false })) {
        if (!(chunk instanceof Uint8Array)) continue;
        bytes += chunk.length;
        this.#bytes += chunk.length;
        if (bytes > MESSAGE_BYTES_MAX) return tooLarge();
        // Small ones always fit, so that a few clients with long messages shut nobody out.
        if (bytes > BODY_FREE_BYTES && this.#bytes > BODIES_BYTES_MAX) return refusal(503, 'CAPACITY', 'too many long bodies are under way', 'try again later', { headers: { 'retry-after': '1' } });
        chunks.push(chunk);
      }
      isKept = true;
      return Buffer.concat(chunks);
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
      if (!isKept) this.#bytes -= bytes;
    }
  }

  /** Called once for each body, when its message has been dealt with. */
  release(body: Uint8Array): void {
    this.#bytes -= body.length;
  }
}
