// SPDX-License-Identifier: Apache-2.0
/** The soak's own HTTP: requests on kept connections, answers as JSON or as events, read as they come. */
import { Agent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { StringDecoder } from 'node:string_decoder';

export interface Asked {
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Each message, as its text. */
  readonly message: (text: string) => void;
  /** Called when a stream of events begins. */
  readonly streaming?: () => void;
}

/** How the answer to a request ended. */
export interface Ended {
  /** 0 where no answer came. */
  readonly status: number;
  readonly session: string | null;
  /** The connection broke before the answer was complete, by neither side's wish. */
  readonly broken: string | null;
  readonly events: boolean;
  readonly lastEventId: string | null;
  readonly retryMs: number | null;
}

export interface Exchange {
  readonly ended: Promise<Ended>;
  /** Closes the connection. */
  drop(): void;
  /** Stops reading for so many milliseconds. */
  rest(ms: number): void;
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 64, timeout: 0 });

/** Lets go of the connections that are kept. */
export function closeConnections(): void {
  agent.destroy();
}

/** Reads events: the fields that the protocol uses. */
class EventReader {
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  #data: string | null = null;
  lastEventId: string | null = null;
  retryMs: number | null = null;

  push(chunk: Buffer, message: (text: string) => void): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (this.#data !== null && this.#data !== '') message(this.#data);
        this.#data = null;
      } else if (line.startsWith('data: ')) this.#data = line.slice(6);
      else if (line.startsWith('id: ')) this.lastEventId = line.slice(4);
      else if (line.startsWith('retry: ')) this.retryMs = Number(line.slice(7));
    }
  }
}

function read(response: IncomingMessage, asked: Asked, dropped: () => boolean): Promise<Ended> {
  const events = response.headers['content-type'] === 'text/event-stream';
  const reader = new EventReader();
  const chunks: Buffer[] = [];
  if (events) asked.streaming?.();
  response.on('data', (chunk: Buffer) => {
    if (events) reader.push(chunk, asked.message);
    else chunks.push(chunk);
  });
  response.on('error', () => undefined);
  return new Promise((resolve) => {
    response.on('close', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      if (body !== '') asked.message(body);
      const { lastEventId, retryMs } = reader;
      const session = response.headers['mcp-session-id'];
      const broken = response.complete || dropped() ? null : 'cut off';
      resolve({ status: response.statusCode ?? 0, session: typeof session === 'string' ? session : null, broken, events, lastEventId, retryMs });
    });
  });
}

export function exchange(asked: Asked): Exchange {
  let dropped = false;
  let response: IncomingMessage | null = null;
  let outgoing: ClientRequest | null = null;
  const attempt = (isFirst: boolean): Promise<Ended> =>
    new Promise((resolve) => {
      const own = httpRequest(asked.url, { method: asked.method, headers: asked.headers, agent });
      outgoing = own;
      own.on('response', (came) => {
        response = came;
        void read(came, asked, () => dropped).then(resolve);
      });
      own.on('error', (error: NodeJS.ErrnoException) => {
        // The gateway may close a kept connection at the moment in which it is used again.
        if (own.reusedSocket && isFirst && response === null && !dropped) void attempt(false).then(resolve);
        else resolve({ status: 0, session: null, broken: dropped ? null : (error.code ?? error.message), events: false, lastEventId: null, retryMs: null });
      });
      own.end(asked.body);
    });
  return {
    ended: attempt(true),
    drop: () => {
      dropped = true;
      outgoing?.destroy();
    },
    rest: (ms) => {
      const resting = response;
      resting?.pause();
      setTimeout(() => resting?.resume(), ms);
    },
  };
}
