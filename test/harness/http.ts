// SPDX-License-Identifier: Apache-2.0
/** Runs the real launcher with its HTTP face in front of some server, and sends it requests of any form. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Row, Wire } from './gateway.ts';
import { ALLOW_ALL, launcher, readRows, scratch } from './gateway.ts';

/** Milliseconds that anything may take which is bound to come: machines may be slow. */
export const PATIENCE_MS = 30_000;

export interface HttpGatewayOptions {
  readonly policy?: string;
  /** URL of the server behind. */
  readonly upstream?: string;
  /** Command of the server behind. */
  readonly server?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A whole configuration instead of flags. */
  readonly config?: string;
  readonly folder?: string;
}

const running = new Set<ChildProcessWithoutNullStreams>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

export class HttpGateway {
  readonly folder: string;
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<number | null>;
  stderr = '';
  stdout = '';
  port = 0;
  #looked: () => void = () => undefined;

  constructor(options: HttpGatewayOptions) {
    this.folder = options.folder ?? scratch();
    const policy = join(this.folder, 'policy.yaml');
    writeFileSync(policy, options.policy ?? ALLOW_ALL);
    this.process = spawn(process.execPath, [launcher, 'up', '--state', join(this.folder, 'state'), ...this.#way(options, policy)], {
      env: { ...process.env, ...options.env },
    });
    running.add(this.process);
    this.process.stdout.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.process.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.#looked();
    });
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code) => {
        running.delete(this.process);
        resolve(code);
        this.#looked();
      });
    });
  }

  #way(options: HttpGatewayOptions, policy: string): string[] {
    if (options.config !== undefined) {
      const file = join(this.folder, 'bastion.yaml');
      writeFileSync(file, options.config);
      return ['--config', file];
    }
    const behind = options.upstream === undefined ? ['--', ...(options.server ?? [])] : ['--upstream-url', options.upstream, '--allow-private'];
    return ['--policy', policy, '--listen', '127.0.0.1:0', '--name', 'peer', ...(options.args ?? []), ...behind];
  }

  /** Starts a gateway and waits until it listens. */
  static async open(options: HttpGatewayOptions): Promise<HttpGateway> {
    const gateway = new HttpGateway(options);
    const until = Date.now() + PATIENCE_MS;
    while (gateway.port === 0) {
      const found = /listening on http:\/\/[^ ]*:(\d+)\//.exec(gateway.stderr);
      if (found !== null) {
        gateway.port = Number(found[1]);
      } else if (gateway.process.exitCode !== null || Date.now() > until) {
        throw new Error(`the gateway does not listen: ${gateway.stderr}`);
      } else {
        await new Promise<void>((resolve) => {
          gateway.#looked = resolve;
          setTimeout(resolve, 500).unref();
        });
      }
    }
    return gateway;
  }

  /** Waits until something is said on standard error. */
  async says(pattern: RegExp): Promise<void> {
    const until = Date.now() + PATIENCE_MS;
    while (!pattern.test(this.stderr)) {
      if (Date.now() > until) throw new Error(`it does not say ${pattern}: ${this.stderr}`);
      await delay(50);
    }
  }

  get auditDir(): string {
    return join(this.folder, 'state', 'audit');
  }

  rows(): Row[] {
    return readRows(this.auditDir);
  }

  /** Rows that match, when there are that many: some are written behind the answer. */
  async rowsLike(match: (row: Row) => boolean, count = 1): Promise<Row[]> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = this.rows().filter(match);
      if (found.length >= count) return found;
      if (Date.now() > until) throw new Error(`only ${found.length} such rows; codes: ${this.rows().map((row) => row['code']).join(' ')}`);
      await delay(15);
    }
  }

  /** Sends one request on a connection of its own; resolves when its headers are there. */
  send(options: RequestOptions): Promise<Answer> {
    return send(this.port, options);
  }

  /** Sends one request and takes the whole answer. */
  async fetch(options: RequestOptions): Promise<Answer> {
    const answer = await this.send(options);
    await answer.over;
    return answer;
  }

  /** Writes bytes as they are; resolves with all that comes until the gateway closes, or with what came until the time is up. */
  raw(bytes: string | Uint8Array, msMax: number = PATIENCE_MS): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(this.port, '127.0.0.1', () => socket.write(bytes));
      const done = (): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(text);
      };
      const timer = setTimeout(done, msMax);
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      socket.on('close', done);
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET' || error.code === 'EPIPE') done();
        else reject(error);
      });
    });
  }

  /** Ends the gateway in order. */
  async close(): Promise<number | null> {
    this.process.kill('SIGTERM');
    return this.ended;
  }
}

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  /** In order; a name may stand there twice. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
}

const has = (headers: readonly (readonly [string, string])[], name: string): boolean => headers.some(([given]) => given.toLowerCase() === name);

export function send(port: number, options: RequestOptions): Promise<Answer> {
  const { method = 'POST', path = '/mcp', headers = [], body } = options;
  const all = [...headers];
  if (!has(all, 'host')) all.unshift(['Host', `127.0.0.1:${port}`]);
  const bytes = body === undefined ? undefined : Buffer.from(body);
  if (bytes !== undefined && !has(all, 'content-length') && !has(all, 'transfer-encoding')) all.push(['Content-Length', String(bytes.length)]);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers: all.flat(), agent: false });
    request.on('response', (response) => resolve(new Answer(response)));
    request.on('error', reject);
    request.end(bytes);
  });
}

export interface Sse {
  readonly id: string | null;
  readonly retry: number | null;
  readonly data: string | null;
  readonly comment: boolean;
}

/** The answer to one request as it comes. */
export class Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  text = '';
  /** Resolves when nothing more comes: `whole` if the answer is complete. */
  readonly over: Promise<'whole' | 'cut'>;
  ended = false;
  readonly #response: IncomingMessage;
  #looked: () => void = () => undefined;

  constructor(response: IncomingMessage) {
    this.#response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      this.text += chunk;
      this.#looked();
    });
    response.on('error', () => undefined);
    this.over = new Promise((resolve) => {
      response.on('close', () => {
        this.ended = true;
        resolve(response.complete ? 'whole' : 'cut');
        this.#looked();
      });
    });
  }

  /** The body as JSON. */
  get json(): Wire {
    return JSON.parse(this.text);
  }

  /** The events that are complete. */
  get events(): Sse[] {
    const blocks = this.text.split('\n\n').slice(0, -1);
    return blocks.map((block) => {
      const fields = block.split('\n');
      const value = (name: string): string | null => fields.find((field) => field.startsWith(`${name}:`))?.slice(name.length + 1).trim() ?? null;
      const retry = value('retry');
      return { id: value('id'), data: value('data'), retry: retry === null ? null : Number(retry), comment: block.startsWith(':') };
    });
  }

  /** The messages in it, whatever its kind. */
  get messages(): Wire[] {
    if (this.headers['content-type'] !== 'text/event-stream') return this.text === '' ? [] : [this.json].flat();
    return this.events.filter(({ data }) => data !== null && data !== '').map(({ data }) => JSON.parse(data ?? ''));
  }

  /** The first message that matches, as soon as it is there. */
  async next(match: (message: Wire) => boolean): Promise<Wire> {
    return this.#wait(() => this.messages.find(match));
  }

  /** The first event that matches. */
  async event(match: (event: Sse) => boolean): Promise<Sse> {
    return this.#wait(() => this.events.find(match));
  }

  async #wait<T>(look: () => T | undefined): Promise<T> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.ended || Date.now() > until) throw new Error(`it does not come; HTTP ${this.status}, came: ${this.text}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        this.#looked = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Closes the connection at once. */
  leave(): void {
    this.#response.destroy();
  }
}
