// SPDX-License-Identifier: Apache-2.0
/** Fetches one small JSON document, such as the keys of an issuer. */
import { Unavailable } from '../../shared/errors.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import { JSON_DOCUMENT_BYTES_MAX, JWKS_FETCH_MS_MAX } from '../../shared/limits.ts';
import type { HttpClient } from './http.ts';
import { readBounded } from './response.ts';

function failed(problem: string): Unavailable {
  return new Unavailable('UPSTREAM_PROTOCOL', problem, 'check the address in the configuration');
}

/** Rejects with Unavailable for any status but 200, a redirect included, and for what is no JSON. */
export async function fetchJson(client: HttpClient, url: URL): Promise<unknown> {
  const response = await client.send({ method: 'GET', url, headers: { accept: 'application/json' }, body: null, signal: AbortSignal.timeout(JWKS_FETCH_MS_MAX) });
  try {
    if (response.status !== 200) throw failed(`the document was answered with HTTP ${response.status}`);
    const body = await readBounded(response, JSON_DOCUMENT_BYTES_MAX);
    if (body.kind !== 'frame') throw failed('the document is too long');
    const parsed = parseStrictJson(body.bytes, { foldedKeys: 'allow', idLexeme: 'any' });
    if (!parsed.ok) throw failed('the document is not JSON');
    return parsed.value;
  } finally {
    response.discard();
  }
}
