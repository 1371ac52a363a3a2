// SPDX-License-Identifier: Apache-2.0
/**
 * JSON-RPC 2.0 messages as MCP uses them: from one frame's bytes to messages whose form is known, or to the reason why
 * a frame or an element of a batch is refused. Method names and params are judged later, by protocol and policy.
 */
import type { Direction } from '../audit/row.ts';
import type { MalformedCode } from '../errors.ts';
import { parseStrictJson } from '../json/parse.ts';
import type { JsonObject, JsonValue } from '../json/value.ts';
import { isJsonObject } from '../json/value.ts';
import { BATCH_ELEMENTS_MAX, METHOD_LENGTH_MAX } from '../limits.ts';
import type { RequestId } from './id.ts';
import { isRequestId } from './id.ts';
import { errorKeys, hasOnlyMembers, isNearMiss, metaKeys, paramsKeys, resultKeys } from './keys.ts';
import { glimpse } from './recover.ts';

export { errorMessage, notificationMessage, requestMessage, resultMessage } from './build.ts';
export type { RequestId } from './id.ts';
export { guessId } from './recover.ts';

/** One well-formed message. `value` is the whole of it, as it is forwarded. */
export type Message =
  | { readonly kind: 'request'; readonly id: RequestId; readonly method: string; readonly params?: JsonObject; readonly value: JsonObject }
  | { readonly kind: 'notification'; readonly method: string; readonly params?: JsonObject; readonly value: JsonObject }
  | { readonly kind: 'result'; readonly id: RequestId; readonly result: JsonObject; readonly value: JsonObject }
  | { readonly kind: 'error'; readonly id: RequestId | null; readonly error: RpcError; readonly value: JsonObject };

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: JsonValue;
}

/** What is refused for its form. */
export interface Malformed {
  readonly kind: 'malformed';
  readonly code: MalformedCode;
  /** Safe to show: holds nothing of the message. */
  readonly hint: string;
  /** The id if exactly one is readable. It addresses an error answer and is used for nothing else. */
  readonly id: RequestId | null;
  /** True: a request, so that an answer is due. False: a notification or an answer. Absent: it cannot be told. */
  readonly request?: boolean;
}

export type Decoded =
  | { readonly kind: 'single'; readonly element: Message | Malformed }
  | { readonly kind: 'batch'; readonly elements: (Message | Malformed)[] }
  | Malformed;

/** Failures after which the rest of the text is still likely to be one message, so that its id means something. */
const READABLE: ReadonlySet<MalformedCode> = new Set<MalformedCode>([
  'JSON_DEPTH',
  'JSON_NODES',
  'KEY_DUPLICATE',
  'KEY_CASE_COLLISION',
  'KEY_FORBIDDEN',
  'INTEGER_UNSAFE',
  'NUMBER_RANGE',
  'SURROGATE_LONE',
  'ID_INVALID',
]);

/**
 * Reads one frame of attacker-controlled bytes. From the client, keys of one object have to differ in more than case,
 * since servers match them loosely; what a server sends may hold any data.
 */
export function decodeMessage(bytes: Uint8Array, direction: Direction): Decoded {
  const foldedKeys = direction === 'c2s' ? 'refuse' : 'allow';
  const parsed = parseStrictJson(bytes, { foldedKeys, idLexeme: 'integer' });
  if (!parsed.ok) {
    const { code, hint } = parsed;
    const malformed = { kind: 'malformed', code, hint, id: null } as const;
    return READABLE.has(code) ? { ...malformed, ...glimpse(bytes) } : malformed;
  }
  const { value } = parsed;
  if (!Array.isArray(value)) return { kind: 'single', element: readElement(value) };
  if (value.length === 0) return refused('BATCH_EMPTY', 'put at least one message in a batch');
  if (value.length > BATCH_ELEMENTS_MAX) {
    return refused('BATCH_TOO_LARGE', `put at most ${BATCH_ELEMENTS_MAX} messages in a batch`);
  }
  return { kind: 'batch', elements: value.map(readElement) };
}

function refused(code: MalformedCode, hint: string): Malformed {
  return { kind: 'malformed', code, hint, id: null };
}

function readElement(value: JsonValue): Message | Malformed {
  if (!isJsonObject(value)) return refused('ENVELOPE_INVALID', 'a message is a JSON object');
  const read = readEnvelope(value);
  if (read.kind !== 'problem') return read;
  const id = value['id'];
  const request = 'method' in value && 'id' in value && !('result' in value) && !('error' in value);
  return { kind: 'malformed', code: read.code, hint: read.hint, id: isRequestId(id) ? id : null, request };
}

interface Problem {
  readonly kind: 'problem';
  readonly code: MalformedCode;
  readonly hint: string;
}

function problem(code: MalformedCode, hint: string): Problem {
  return { kind: 'problem', code, hint };
}

function readEnvelope(value: JsonObject): Message | Problem {
  if (!hasOnlyMembers(value)) {
    return problem('ENVELOPE_KEY', 'a message has jsonrpc, id, method, params, result and error only, in this spelling');
  }
  if (value['jsonrpc'] !== '2.0') return problem('JSONRPC_VERSION', 'set jsonrpc to "2.0"');
  const parts = ['method', 'result', 'error'].filter((key) => key in value);
  if (parts.length !== 1) return problem('ENVELOPE_INVALID', 'a message has exactly one of method, result and error');
  if ('method' in value) return readCall(value);
  if ('params' in value) return problem('ENVELOPE_INVALID', 'an answer has no params');
  return 'result' in value ? readResult(value) : readError(value);
}

const CONTROL = /\p{Cc}/u;

function readCall(value: JsonObject): Message | Problem {
  const { id, method, params } = { id: value['id'], method: value['method'], params: value['params'] };
  if (id !== undefined && !isRequestId(id)) {
    return problem('ID_INVALID', 'the id of a request is a string of bounded length or a safe integer');
  }
  if (typeof method !== 'string' || method === '' || method.length > METHOD_LENGTH_MAX || CONTROL.test(method)) {
    return problem('METHOD_INVALID', `a method is a string of 1 to ${METHOD_LENGTH_MAX} units without control characters`);
  }
  if (params === undefined) {
    return id === undefined ? { kind: 'notification', method, value } : { kind: 'request', id, method, value };
  }
  if (!isJsonObject(params)) return problem('PARAMS_INVALID', 'params is an object');
  const meta = params['_meta'];
  if (isNearMiss(params, paramsKeys) || (isJsonObject(meta) && isNearMiss(meta, metaKeys))) {
    return problem('ENVELOPE_KEY', 'params has a key that differs from one of the protocol only in case or form');
  }
  return id === undefined
    ? { kind: 'notification', method, params, value }
    : { kind: 'request', id, method, params, value };
}

function readResult(value: JsonObject): Message | Problem {
  const { id, result } = { id: value['id'], result: value['result'] };
  if (!isRequestId(id)) return problem('ID_INVALID', 'a result has the id of its request');
  if (!isJsonObject(result)) return problem('ENVELOPE_INVALID', 'a result is an object');
  if (isNearMiss(result, resultKeys)) {
    return problem('ENVELOPE_KEY', 'the result has a key that differs from one of the protocol only in case or form');
  }
  return { kind: 'result', id, result, value };
}

function readError(value: JsonObject): Message | Problem {
  const { id, error } = { id: value['id'], error: value['error'] };
  if (id !== undefined && id !== null && !isRequestId(id)) {
    return problem('ID_INVALID', 'an error has the id of its request, or null');
  }
  if (!isJsonObject(error)) return problem('ENVELOPE_INVALID', 'an error is an object');
  if (isNearMiss(error, errorKeys)) {
    return problem('ENVELOPE_KEY', 'the error has a key that differs from one of the protocol only in case or form');
  }
  const { code, message, data } = { code: error['code'], message: error['message'], data: error['data'] };
  if (typeof code !== 'number' || !Number.isInteger(code) || typeof message !== 'string') {
    return problem('ENVELOPE_INVALID', 'an error has an integer code and a message');
  }
  const read: RpcError = data === undefined ? { code, message } : { code, message, data };
  return { kind: 'error', id: id ?? null, error: read, value };
}
