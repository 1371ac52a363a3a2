// SPDX-License-Identifier: Apache-2.0
/** What the HTTP face refuses before any server is concerned, and how it says so: a JSON-RPC error with a status. */
import type { ServerResponse } from 'node:http';
import type { ErrorCode } from '../../shared/errors.ts';
import { writeSseEvent } from '../../shared/http/sse.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject, withoutMembers } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { errorMessage } from '../../shared/jsonrpc/message.ts';

export interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  /** JSON-RPC error code. */
  readonly number: number;
  readonly message: string;
  readonly hint: string;
  /** The id of the request, where it could be read. */
  readonly id?: RequestId;
  /** Further members of the error's data. */
  readonly data?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

const INVALID_REQUEST = -32600;

/** A refusal for the form of a request. */
export function refusal(status: number, code: ErrorCode, message: string, hint: string, more: Partial<Refusal> = {}): Refusal {
  return { status, code, number: INVALID_REQUEST, message, hint, ...more };
}

/** The body of a refusal. Without a readable id it is null, or left out where 2026-07-28 is spoken. */
export function refusalMessage({ code, number, message, hint, id, data }: Refusal, modern: boolean): JsonObject {
  const details = jsonObject({ code, hint });
  const error = errorMessage(id ?? null, number, `refused by mcp-bastion: ${message}`, data === undefined ? details : Object.assign(details, data));
  return id === undefined && modern ? withoutMembers(error, 'id') : error;
}

/** Answers with a JSON body and ends the response. */
export function replyJson(response: ServerResponse, status: number, value: JsonObject, headers: Readonly<Record<string, string>> = {}): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(wireJson(value), 'utf8');
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, 'cache-control': 'no-store', ...headers });
  response.end(body);
}

/** Refuses a request. */
export function replyRefusal(response: ServerResponse, refused: Refusal, modern = false): void {
  const message = refusalMessage(refused, modern);
  // A sign of life may have begun a stream before it was known that there is nothing to answer.
  if (response.headersSent && !response.writableEnded) response.end(writeSseEvent({ data: wireJson(message) }));
  else replyJson(response, refused.status, message, refused.headers);
}

/** Answers without a body. */
export function replyEmpty(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-length': 0, ...headers });
  response.end();
}
