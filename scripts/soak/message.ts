// SPDX-License-Identifier: Apache-2.0
/** The messages that the soak's clients and its server exchange, and the canaries that tell whose they are. */
import { randomBytes } from 'node:crypto';

export interface Message {
  readonly jsonrpc: '2.0';
  readonly id?: number | string | null;
  readonly method?: string;
  readonly params?: Params;
  readonly result?: Result;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { readonly code?: string } };
}

/** The members of any params that one side or the other looks at. */
export interface Params {
  readonly name?: string;
  readonly arguments?: CallArguments;
  readonly protocolVersion?: string;
  readonly clientInfo?: { readonly name: string };
  readonly requestId?: number | string;
  readonly progressToken?: number | string;
  readonly progress?: number;
  readonly message?: string;
  readonly data?: { readonly canary: string; readonly seq: number };
  readonly uri?: string;
  readonly notifications?: { readonly resourceSubscriptions?: readonly string[] };
  readonly requestState?: string;
  readonly inputResponses?: Readonly<Record<string, { readonly content?: { readonly canary?: string } }>>;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

export interface Result {
  readonly content?: readonly { readonly type: 'text'; readonly text: string }[] | { readonly canary?: string };
  readonly tools?: readonly { readonly name: string }[];
  readonly serverInfo?: { readonly name: string; readonly version: string };
  readonly resultType?: string;
  readonly requestState?: string;
  readonly inputRequests?: Readonly<Record<string, object>>;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

/** What a call asks the server to do before it answers with its canary and its number. */
export interface CallArguments {
  readonly canary: string;
  readonly n: number;
  /** Progress notifications before the answer. */
  readonly steps?: number;
  /** Milliseconds that all steps take together. */
  readonly ms?: number;
  /** Characters that each of them carries beside the canary. */
  readonly pad?: number;
}

export const MODERN = '2026-07-28';
export const META_VERSION = 'io.modelcontextprotocol/protocolVersion';
export const META_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
export const META_CLIENT = 'io.modelcontextprotocol/clientInfo';
export const META_SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

const CANARY = /canary-[0-9a-f]{16}/g;

/** A text that belongs to one client and that nobody else may ever be sent. */
export function newCanary(): string {
  return `canary-${randomBytes(8).toString('hex')}`;
}

/** All canaries in a text. */
export function canariesIn(text: string): readonly string[] {
  return text.match(CANARY) ?? [];
}

export function request(id: number | string, method: string, params?: object): Message {
  return { jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) };
}

export function notification(method: string, params?: object): Message {
  return { jsonrpc: '2.0', method, ...(params === undefined ? {} : { params }) };
}

/** The text that answers a call. */
export function answerText({ canary, n }: CallArguments): string {
  return `${canary}:${n}`;
}

/** Milliseconds before a client tries again what failed: hundreds that come at once would be a test of something else. */
export function patience(): number {
  return 500 + Math.random() * 2000;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
