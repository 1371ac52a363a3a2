// SPDX-License-Identifier: Apache-2.0
/**
 * Which era one POST belongs to, from its body, its headers and its session together, and whether the headers of
 * 2026-07-28 say what the body says. The body is authoritative; a header that differs is refused, because what stands
 * before the gateway may have decided by it.
 */
import { decodeHeaderValue } from '../../shared/http/header-value.ts';
import type { Malformed, Message } from '../../shared/jsonrpc/message.ts';
import { eraOfRequest, requestedRevision } from '../../shared/mcp/meta.ts';
import type { Era } from '../../shared/mcp/revisions.ts';
import { MODERN_REVISION } from '../../shared/mcp/revisions.ts';
import { namedBy } from '../upstream/request-headers.ts';
import type { HeaderReading } from './headers.ts';
import { singleHeader } from './headers.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';

const HEADER_MISMATCH = -32020;

type Request = Extract<Message, { kind: 'request' }>;

/** Modern as soon as the body or the version header says so. */
export function eraOfPost(rawHeaders: readonly string[], element: Message | Malformed): Era {
  const version = singleHeader(rawHeaders, 'mcp-protocol-version');
  if (version.kind === 'one' && version.value === MODERN_REVISION) return 'modern';
  if (element.kind !== 'request') return 'legacy';
  return element.method === 'server/discover' ? 'modern' : eraOfRequest(element.params);
}

function mismatch(problem: string): Refusal {
  const hint = 'send each of MCP-Protocol-Version, Mcp-Method and Mcp-Name once, with the value of the body';
  return refusal(400, 'HEADER_MISMATCH', problem, hint, { number: HEADER_MISMATCH });
}

function says(header: HeaderReading, value: string): boolean {
  return header.kind === 'one' && decodeHeaderValue(header.value) === value;
}

/** Compares the headers of a modern request with its body; null where they agree. */
export function judgeModernHeaders(rawHeaders: readonly string[], message: Request): Refusal | null {
  const version = singleHeader(rawHeaders, 'mcp-protocol-version');
  const revision = requestedRevision(message.params);
  if (version.kind !== 'one') return mismatch('the MCP-Protocol-Version header is missing or repeated');
  if (revision !== null && version.value !== revision) return mismatch('the MCP-Protocol-Version header differs from the body');
  if (!says(singleHeader(rawHeaders, 'mcp-method'), message.method)) return mismatch('the Mcp-Method header is missing or differs from the body');
  const name = namedBy(message.method, message.params);
  if (typeof name === 'string' && !says(singleHeader(rawHeaders, 'mcp-name'), name)) {
    return mismatch('the Mcp-Name header is missing or differs from the body');
  }
  return null;
}

/** Clients of the older revisions may send these headers early; they still may not say what the body does not. */
export function judgeLegacyHeaders(rawHeaders: readonly string[], message: Message | Malformed): Refusal | null {
  if (message.kind !== 'request' && message.kind !== 'notification') return null;
  const method = singleHeader(rawHeaders, 'mcp-method');
  if (method.kind !== 'none' && !says(method, message.method)) return mismatch('the Mcp-Method header differs from the body');
  const name = singleHeader(rawHeaders, 'mcp-name');
  const named = namedBy(message.method, message.params);
  if (name.kind !== 'none' && typeof named === 'string' && !says(name, named)) return mismatch('the Mcp-Name header differs from the body');
  return null;
}

/** The `Mcp-Param-*` headers of a request by lower-case name; null if one is repeated. */
export function paramHeadersOf(rawHeaders: readonly string[]): ReadonlyMap<string, string> | null {
  const found = new Map<string, string>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? '';
    if (!name.startsWith('mcp-param-')) continue;
    if (found.has(name)) return null;
    found.set(name, rawHeaders[at + 1] ?? '');
  }
  return found;
}
