// SPDX-License-Identifier: Apache-2.0
/**
 * A server behind the transport of revision 2024-11-05 (HTTP with SSE), for one client. The session is the stream: when
 * it ends, the session does. A client on stdio has no way to learn of that, and proxies cut quiet streams, so for it the
 * gateway connects anew and repeats the handshake with the next message.
 */
import { Unavailable } from '../../shared/errors.ts';
import type { About } from '../exchange/parts.ts';
import type { Refuse } from '../exchange/verdict.ts';
import type { Link } from './link.ts';
import { endedEarly, sessionLost, unreachable } from './response.ts';
import type { Ending, SseConnection, SseOptions } from './sse-connection.ts';
import { connectSse } from './sse-connection.ts';

/** Rejects with Unavailable where the server cannot be reached, or does not say where messages go. */
export async function openSseLink(options: SseOptions): Promise<Link> {
  const link = new SseLink(options);
  await link.connect();
  return link;
}

/** What a repeated handshake consists of: it cannot wait for itself. */
const HANDSHAKE: ReadonlySet<string> = new Set(['initialize', 'notifications/initialized']);

class SseLink implements Link {
  readonly #options: SseOptions;
  #connection: SseConnection | null = null;
  /** Resolves with why the connection could not be made anew; null where it was. */
  #renewing: Promise<Refuse | null> | null = null;
  #over = false;

  constructor(options: SseOptions) {
    this.#options = options;
  }

  async connect(): Promise<void> {
    const made: SseConnection = await connectSse(this.#options, (ending) => this.#ended(made, ending));
    this.#connection = made;
    if (this.#over) made.close();
  }

  async send(text: string, about: About): Promise<void> {
    if (this.#over) return;
    const refused = await this.#ready(about);
    if (refused === null) await this.#connection?.send(text, about);
    else if (about.kind === 'request') await this.#options.events.failed(about.id ?? '', refused);
  }

  async #ready(about: About): Promise<Refuse | null> {
    if (this.#renewing !== null && HANDSHAKE.has(about.method ?? '')) return null;
    if (this.#connection === null) {
      this.#renewing ??= this.#renew().finally(() => {
        this.#renewing = null;
      });
    }
    return this.#renewing ?? null;
  }

  async #renew(): Promise<Refuse | null> {
    const { events, revision } = this.#options;
    try {
      await this.connect();
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      // The next message tries again.
      return unreachable(error);
    }
    if (revision() === null || (await events.renew?.()) === true) return null;
    if (this.#connection === null) return endedEarly();
    await this.close();
    events.lost();
    return sessionLost();
  }

  async #ended(connection: SseConnection, { reason, rest }: Ending): Promise<void> {
    const { events } = this.#options;
    if (this.#over) return;
    if (this.#connection === connection) this.#connection = null;
    if (events.renew !== undefined && reason?.code !== 'UPSTREAM_PROTOCOL') {
      await connection.fail(reason ?? endedEarly());
      return;
    }
    this.#over = true;
    events.silent();
    await connection.fail(reason ?? endedEarly());
    await rest;
    events.lost();
  }

  openStream(): Promise<'open'> {
    return Promise.resolve('open');
  }

  close(): Promise<void> {
    this.#over = true;
    this.#connection?.close();
    return Promise.resolve();
  }
}
