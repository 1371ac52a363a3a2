// SPDX-License-Identifier: Apache-2.0
/** Published clients that come to a token by themselves, each with a person who has a browser. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import type { OAuthDiscoveryState } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { OAuthClientInformationMixed, OAuthClientMetadata, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';

/**
 * A person at a client: keeps what the client has to keep, and has a browser in which somebody is logged in. Where the
 * authorization server sends the browser to is where the client picks the code up.
 */
export class Person {
  readonly redirectUrl: string = 'http://127.0.0.1:1/callback';
  readonly clientMetadata: OAuthClientMetadata = { client_name: 'a test', redirect_uris: [this.redirectUrl], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] };
  readonly user: string;
  stored: OAuthTokens | undefined;
  callback: URLSearchParams | undefined;
  /** Where the browser was sent. */
  readonly visited: URL[] = [];
  #client: OAuthClientInformationMixed | undefined;
  #verifier = '';
  #discovery: OAuthDiscoveryState | undefined;

  constructor(user: string) {
    this.user = user;
  }

  clientInformation(): OAuthClientInformationMixed | undefined {
    return this.#client;
  }

  saveClientInformation(information: OAuthClientInformationMixed): void {
    this.#client = information;
  }

  tokens(): OAuthTokens | undefined {
    return this.stored;
  }

  saveTokens(tokens: OAuthTokens): void {
    this.stored = tokens;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    return this.#verifier;
  }

  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovery;
  }

  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovery = state;
  }

  async redirectToAuthorization(url: URL): Promise<void> {
    this.visited.push(url);
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie: `user=${this.user}` } });
    await answer.body?.cancel();
    const location = answer.headers.get('location');
    assert.ok(location?.startsWith(this.redirectUrl), `HTTP ${answer.status} instead of a way back`);
    this.callback = new URL(location ?? '').searchParams;
  }
}

export interface Connection {
  readonly transport: HttpV1 | HttpV2;
  connect(): Promise<unknown>;
  /** Hands the transport what the authorization server sent the browser back with. */
  finish(callback: URLSearchParams): Promise<void>;
  add(a: number, b: number): Promise<unknown>;
}

export type Prepare = (url: string, person: Person) => Connection;

const clients = new Set<{ close(): Promise<void> }>();
after(async () => {
  for (const client of clients) await client.close();
});

const withV1: Prepare = (url, person) => {
  const client = new ClientV1({ name: 'v1', version: '1' });
  const transport = new HttpV1(new URL(url), { authProvider: person });
  clients.add(client);
  return {
    transport,
    connect: () => client.connect(transport),
    finish: (callback) => transport.finishAuth(callback.get('code') ?? ''),
    add: async (a, b) => (await client.callTool({ name: 'add', arguments: { a, b } })).structuredContent,
  };
};

const withV2: Prepare = (url, person) => {
  const client = new ClientV2({ name: 'v2', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const transport = new HttpV2(new URL(url), { authProvider: person });
  clients.add(client);
  return {
    transport,
    connect: () => client.connect(transport),
    // It checks the issuer in the callback itself.
    finish: (callback) => transport.finishAuth(callback),
    add: async (a, b) => (await client.callTool({ name: 'add', arguments: { a, b } })).structuredContent,
  };
};

export const GENERATIONS: Readonly<Record<string, Prepare>> = { 'sdk 1.x': withV1, 'sdk 2.x': withV2 };
