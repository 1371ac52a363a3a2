// SPDX-License-Identifier: Apache-2.0
/**
 * `requestState` of 2026-07-28: what a server gives a client to carry to its next attempt. It is wrapped on its way out
 * and unwrapped on its way back, so that it returns only with the very request that it was given for: the same principal,
 * server, method, name and arguments. How often one request may be tried is counted in it.
 */
import { sha256Hex } from '../../shared/digest.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject, withMember } from '../../shared/json/value.ts';
import { INPUT_ROUNDS_MAX } from '../../shared/limits.ts';
import type { RequestMessage } from './context.ts';
import type { ExchangeParts } from './parts.ts';
import type { Refuse } from './verdict.ts';
import { refuse } from './verdict.ts';

/** Authenticates short texts under a key of the process. */
export interface StateSeal {
  /** A text that opens only under the same context. */
  seal(text: string, context: string): string;
  /** Null for anything that was not sealed under that context. */
  open(sealed: string, context: string): string | null;
}

/** Requests that a server may answer by asking for input. */
export const mayAskForInput: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** What a state is bound to, as a digest; null where the request can have none or states are not wrapped. */
export function stateContext(parts: ExchangeParts, message: RequestMessage): string | null {
  if (parts.seal === undefined || parts.era !== 'modern' || !mayAskForInput.has(message.method)) return null;
  const { name = null, uri = null, arguments: args = null } = message.params ?? {};
  return sha256Hex(canonicalJson([parts.principal, parts.server, message.method, name, uri, args]));
}

const ROUND = /^([0-9]{1,3}) ([\s\S]*)$/;

export type OpenedState = { readonly message: RequestMessage; readonly round: number };

/** The request with the server's own state in it, and which attempt it is. */
export function openState(parts: ExchangeParts, message: RequestMessage, context: string | null): OpenedState | Refuse {
  const state = message.params?.['requestState'];
  if (context === null || parts.seal === undefined || message.params === undefined || state === undefined) return { message, round: 0 };
  const opened = typeof state === 'string' ? ROUND.exec(parts.seal.open(state, context) ?? '') : null;
  if (opened === null) return refuse('STATE_INVALID', 'the requestState does not belong to this request', 'repeat the request as it was, with the requestState of its last answer');
  const round = Number(opened[1]);
  if (round >= INPUT_ROUNDS_MAX) return refuse('STATE_INVALID', `the server asked for input ${INPUT_ROUNDS_MAX} times`, 'start the request anew');
  const params = withMember(message.params, 'requestState', opened[2] ?? '');
  return { message: { ...message, params, value: withMember(message.value, 'params', params) }, round };
}

/** An answer with its state wrapped. */
export function sealState(parts: ExchangeParts, value: JsonObject, context: string | null, round: number): JsonObject {
  const result = value['result'];
  const state = isJsonObject(result) ? result['requestState'] : undefined;
  if (context === null || parts.seal === undefined || !isJsonObject(result) || typeof state !== 'string') return value;
  return withMember(value, 'result', withMember(result, 'requestState', parts.seal.seal(`${round + 1} ${state}`, context)));
}
