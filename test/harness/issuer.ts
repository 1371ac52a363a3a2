// SPDX-License-Identifier: Apache-2.0
/**
 * An authorization server on loopback, as small as real clients allow: metadata (RFC 8414), keys (RFC 7517), dynamic
 * registration (RFC 7591), the code grant with PKCE (RFC 7636), `iss` in its answer (RFC 9207) and the resource as the
 * audience (RFC 8707), refresh tokens that are good once. Whoever comes with a user in a cookie approves at once.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';

export type Algorithm = 'RS256' | 'ES256';
export type Claims = Readonly<Record<string, unknown>>;

export interface SigningKey {
  readonly algorithm: Algorithm;
  readonly kid: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

interface Client {
  readonly secret: string;
  readonly redirectUris: readonly string[];
}

/** What somebody agreed to. */
interface Grant {
  readonly client: string;
  readonly user: string;
  readonly scope: string;
  readonly resource: string;
}

interface Code extends Grant {
  readonly challenge: string;
  readonly redirectUri: string;
}

const TOKEN_SECONDS = 600;

export function createKey(algorithm: Algorithm): SigningKey {
  const pair = algorithm === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { algorithm, kid: randomBytes(6).toString('hex'), ...pair };
}

export function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Signs any claims under any header with a key. */
export function signJwt(header: Claims, claims: Claims, key: SigningKey): string {
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export class Issuer {
  /** Requests by what they asked for: `metadata`, `jwks`, `register`, `authorize`, `code`, `refresh`. */
  readonly asked: Map<string, number> = new Map();
  /** Every token, code and secret that was ever given to anybody. */
  readonly secrets: Set<string> = new Set();
  /** What was wrong with requests that were refused. */
  readonly complaints: string[] = [];
  key: SigningKey;
  /** Members of the metadata in place of the usual ones. */
  metadata: Claims = {};
  port = 0;
  readonly #clients = new Map<string, Client>();
  readonly #codes = new Map<string, Code>();
  readonly #grants = new Map<string, Grant>();
  #server: Server | null = null;

  private constructor(algorithm: Algorithm) {
    this.key = createKey(algorithm);
  }

  static async open(algorithm: Algorithm = 'RS256'): Promise<Issuer> {
    const issuer = new Issuer(algorithm);
    await issuer.start();
    after(() => issuer.stop());
    return issuer;
  }

  /** Listens, after a stop at the port of before. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      response.on('error', () => undefined);
      void this.#answer(request, response);
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (server.address() as AddressInfo).port;
  }

  stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    return new Promise((resolve) => {
      if (server === null) {
        resolve();
        return;
      }
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  count(what: string): number {
    return this.asked.get(what) ?? 0;
  }

  /** Signs with a new key from now on, and publishes no other. */
  rotate(algorithm: Algorithm = this.key.algorithm): void {
    this.key = createKey(algorithm);
  }

  /** An access token with claims and header members of one's own, signed by this issuer. Undefined leaves one out. */
  token(claims: Claims, header: Claims = {}, key: SigningKey = this.key): string {
    const now = Math.floor(Date.now() / 1000);
    const usual = { iss: this.url, iat: now, exp: now + TOKEN_SECONDS, jti: randomBytes(8).toString('hex') };
    return this.#secret(signJwt({ alg: key.algorithm, typ: 'at+jwt', kid: key.kid, ...header }, { ...usual, ...claims }, key));
  }

  #secret(text: string): string {
    this.secrets.add(text);
    return text;
  }

  #make(kind: string): string {
    return this.#secret(`${kind}-${randomBytes(24).toString('base64url')}`);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.url);
    const body = await read(request);
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /.well-known/oauth-authorization-server':
        this.#note('metadata');
        json(response, { ...this.#metadata(), ...this.metadata });
        return;
      case 'GET /jwks': {
        this.#note('jwks');
        const { publicKey, kid, algorithm } = this.key;
        json(response, { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' }] });
        return;
      }
      case 'POST /register':
        this.#note('register');
        this.#register(JSON.parse(body), response);
        return;
      case 'GET /authorize':
        this.#note('authorize');
        this.#authorize(url.searchParams, request.headers.cookie ?? '', response);
        return;
      case 'POST /token':
        this.#exchange(new URLSearchParams(body), request.headers.authorization ?? '', response);
        return;
      default:
        json(response, {}, 404);
    }
  }

  #note(what: string): void {
    this.asked.set(what, this.count(what) + 1);
  }

  #metadata(): Claims {
    return {
      issuer: this.url,
      authorization_endpoint: `${this.url}/authorize`,
      token_endpoint: `${this.url}/token`,
      registration_endpoint: `${this.url}/register`,
      jwks_uri: `${this.url}/jwks`,
      response_types_supported: ['code'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic'],
      authorization_response_iss_parameter_supported: true,
    };
  }

  #register(asked: Claims, response: ServerResponse): void {
    const id = `client-${randomBytes(6).toString('hex')}`;
    const secret = this.#make('client-secret');
    const redirectUris = Array.isArray(asked['redirect_uris']) ? asked['redirect_uris'].map(String) : [];
    this.#clients.set(id, { secret, redirectUris });
    json(response, { ...asked, client_id: id, client_secret: secret, client_secret_expires_at: 0, token_endpoint_auth_method: 'client_secret_basic' }, 201);
  }

  #authorize(query: URLSearchParams, cookie: string, response: ServerResponse): void {
    const id = query.get('client_id') ?? '';
    const redirectUri = query.get('redirect_uri') ?? '';
    const challenge = query.get('code_challenge') ?? '';
    const resource = query.get('resource') ?? '';
    const user = /(?:^|; )user=([^;]+)/.exec(cookie)?.[1] ?? '';
    const problem =
      (this.#clients.get(id)?.redirectUris.includes(redirectUri) !== true && 'no such client, or not its address') ||
      (query.get('response_type') !== 'code' && 'no code is asked for') ||
      ((query.get('code_challenge_method') !== 'S256' || challenge === '') && 'no PKCE') ||
      (resource === '' && 'no resource') ||
      (user === '' && 'nobody is logged in');
    if (problem !== false) {
      this.#refuse(response, 'invalid_request', problem);
      return;
    }
    const code = this.#make('code');
    this.#codes.set(code, { client: id, user, scope: query.get('scope') ?? '', resource, challenge, redirectUri });
    const back = new URL(redirectUri);
    for (const [name, value] of [['code', code], ['state', query.get('state')], ['iss', this.url]] as const) {
      if (value !== null) back.searchParams.set(name, value);
    }
    response.writeHead(302, { location: back.href }).end();
  }

  #exchange(form: URLSearchParams, authorization: string, response: ServerResponse): void {
    const [id = '', secret = ''] = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString('utf8').split(':').map(decodeURIComponent);
    if (this.#clients.get(id)?.secret !== secret) {
      this.#refuse(response, 'invalid_client', 'the client is not authenticated', 401);
      return;
    }
    const grant = form.get('grant_type') === 'refresh_token' ? this.#refreshed(form, id) : this.#redeemed(form, id);
    if (typeof grant === 'string') {
      this.#refuse(response, 'invalid_grant', grant);
      return;
    }
    const refresh = this.#make('refresh');
    this.#grants.set(refresh, grant);
    const access = this.token({ sub: grant.user, client_id: id, scope: grant.scope, aud: grant.resource });
    json(response, { access_token: access, token_type: 'Bearer', expires_in: TOKEN_SECONDS, refresh_token: refresh, scope: grant.scope });
  }

  #refreshed(form: URLSearchParams, client: string): Grant | string {
    this.#note('refresh');
    const token = form.get('refresh_token') ?? '';
    const grant = this.#grants.get(token);
    this.#grants.delete(token);
    if (grant?.client !== client) return 'no such refresh token';
    return form.get('resource') === grant.resource ? grant : 'another resource';
  }

  #redeemed(form: URLSearchParams, client: string): Grant | string {
    this.#note('code');
    const value = form.get('code') ?? '';
    const code = this.#codes.get(value);
    this.#codes.delete(value);
    const verifier = this.#secret(form.get('code_verifier') ?? '');
    if (code === undefined || code.client !== client || form.get('grant_type') !== 'authorization_code') return 'no such code';
    if (createHash('sha256').update(verifier).digest('base64url') !== code.challenge) return 'the verifier is not that of the challenge';
    if (form.get('redirect_uri') !== code.redirectUri) return 'another redirect_uri';
    return form.get('resource') === code.resource ? code : 'another resource';
  }

  #refuse(response: ServerResponse, error: string, problem: string, status = 400): void {
    this.complaints.push(problem);
    json(response, { error, error_description: problem }, status);
  }
}

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(value));
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
