// SPDX-License-Identifier: Apache-2.0
/**
 * Decodes an answer that came encoded although identity was asked for. Bytes are given on as soon as they can be
 * decoded, because an event within an encoded stream must not wait for the next one; a decompression bomb ends at its
 * size or at its ratio, whichever comes first (RFC 9110 section 8.4.1).
 */
import { pipeline } from 'node:stream/promises';
import type { BrotliDecompress, Gunzip, Inflate } from 'node:zlib';
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Unavailable } from '../../shared/errors.ts';
import { UPSTREAM_DECODED_BYTES_MAX, UPSTREAM_DECODED_FREE_BYTES, UPSTREAM_DECODED_RATIO_MAX } from '../../shared/limits.ts';
import { codeOf, SERVER_HINT } from './failure.ts';

export type Encoding = 'identity' | 'gzip' | 'deflate' | 'br';

/**
 * The encoding that `Content-Encoding` names, given all values of that header; null for one that is not decoded. Several
 * encodings, one within the other, are none of them: they only serve to hide what is inside.
 */
export function encodingOf(values: readonly string[]): Encoding | null {
  if (values.length > 1) return null;
  switch (values[0]?.toLowerCase() ?? '') {
    case '':
    case 'identity':
      return 'identity';
    case 'gzip':
    case 'x-gzip':
      return 'gzip';
    case 'deflate':
      return 'deflate';
    case 'br':
      return 'br';
    default:
      return null;
  }
}

/**
 * The identity bytes of an encoded body, whose own failures have to be Unavailable: they are passed on. Throws
 * UPSTREAM_PROTOCOL for bytes that are not of this encoding, end too early, or decode to more than `bytesMax`.
 */
export async function* decodeBody(
  encoded: AsyncIterable<Uint8Array>,
  encoding: Exclude<Encoding, 'identity'>,
  bytesMax: number = UPSTREAM_DECODED_BYTES_MAX,
): AsyncGenerator<Uint8Array> {
  let encodedBytes = 0;
  let decodedBytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of encoded) {
      encodedBytes += chunk.length;
      yield chunk;
    }
  }
  const decoder = createDecoder(encoding);
  // Every failure of the pipeline reaches the loop below through the decoder.
  pipeline(counted, decoder).catch(() => {});
  try {
    for await (const chunk of decoder) {
      const bytes: Uint8Array = chunk;
      decodedBytes += bytes.length;
      if (decodedBytes > Math.min(bytesMax, UPSTREAM_DECODED_FREE_BYTES + encodedBytes * UPSTREAM_DECODED_RATIO_MAX)) throw broken('the server sends a decompression bomb');
      yield bytes;
    }
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    // An answer without a body may carry the header all the same.
    if (encodedBytes > 0) throw broken(`the server's answer is not valid ${encoding} (${codeOf(error)})`, error);
  } finally {
    decoder.destroy();
  }
}

function createDecoder(encoding: Exclude<Encoding, 'identity'>): BrotliDecompress | Gunzip | Inflate {
  switch (encoding) {
    case 'gzip':
      return createGunzip({ flush: constants.Z_SYNC_FLUSH });
    case 'deflate':
      return createInflate({ flush: constants.Z_SYNC_FLUSH });
    case 'br':
      return createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH });
  }
}

function broken(message: string, cause?: unknown): Unavailable {
  return new Unavailable('UPSTREAM_PROTOCOL', message, SERVER_HINT, cause);
}
