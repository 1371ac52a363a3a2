// SPDX-License-Identifier: Apache-2.0
/**
 * One HTTP response to a client: an answer as JSON where nothing comes before it, else a stream of events. At the older
 * revisions its events are kept for a while, so that a client whose connection broke takes the stream up again.
 */
import type { ServerResponse } from 'node:http';
import { SSE_COMMENT, writeSseEvent } from '../../shared/http/sse.ts';
import { CHANNEL_BYTES_MAX, CHANNEL_EVENTS_MAX, CLIENT_STALL_MS_MAX, KEEP_ALIVE_MS } from '../../shared/limits.ts';

interface KeptEvent {
  readonly seq: number;
  readonly text: string;
}

export interface ChannelOptions {
  /** Prefix of event ids; null where streams cannot be taken up again. */
  readonly ids: string | null;
  /** An event with an id and no data comes first (2025-11-25), so that even an early break can be mended. */
  readonly priming: boolean;
  /** 2024-11-05: what the stream begins with. Its messages then say that they are such. */
  readonly opening?: string;
  /** Answers after which the channel is done; Infinity for the server's own stream. */
  readonly answers: number;
  readonly headers: (kind: 'json' | 'events') => Readonly<Record<string, string>>;
  /** True where the server itself answers with events: then the gateway's own answers do not differ. */
  readonly likesEvents?: () => boolean;
  /** Called once when all answers are written or the client left for good. */
  readonly done?: () => void;
  /** The client closed the response before it was complete. */
  readonly left?: () => void;
}

const STREAM_HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' } as const;

export class Channel {
  readonly #options: ChannelOptions;
  #response: ServerResponse | null = null;
  #streaming = false;
  #answersLeft: number;
  #seq = 0;
  #primed = false;
  readonly #kept: KeptEvent[] = [];
  #keptBytes = 0;
  /** The last event that was written to a client. */
  #written = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The wait for a client that does not take everything at once: one, however many messages wait. */
  #draining: { readonly response: ServerResponse; readonly done: Promise<void> } | null = null;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#answersLeft = options.answers;
  }

  /** True while a client reads it. */
  get attached(): boolean {
    return this.#response !== null;
  }

  /** True once everything that it was opened for is said. */
  get complete(): boolean {
    return this.#answersLeft <= 0;
  }

  /** UTF-16 units of the events that a client could take up again. */
  get keptLength(): number {
    return this.#keptBytes;
  }

  /** Takes the response of the request that opened the channel, or of one that takes it up again. */
  attach(response: ServerResponse): void {
    const before = this.#response;
    this.#detach();
    if (before !== null) hangUp(before);
    // It says once that it closes: after that, a client that is gone would count as one that reads, for ever.
    if (response.destroyed) {
      this.#left();
      return;
    }
    this.#response = response;
    response.on('close', () => {
      if (this.#response === response) this.#left();
    });
    this.#timer = setInterval(() => this.#beat(), KEEP_ALIVE_MS);
    this.#timer.unref();
  }

  /** Begins the stream before its first event. */
  stream(): void {
    const response = this.#response;
    if (response === null || this.#streaming) return;
    this.#streaming = true;
    response.writeHead(200, { ...STREAM_HEADERS, ...this.#options.headers('events') });
    response.flushHeaders();
    const { ids, priming, opening } = this.#options;
    if (opening !== undefined) response.write(opening);
    if (ids === null || !priming || this.#primed) return;
    this.#primed = true;
    response.write(writeSseEvent({ id: `${ids}-0`, data: '' }));
  }

  /**
   * Begins the stream for a client that has seen some of it: what came after that event, or all that no client has seen.
   * False if an event is asked for that was never sent or is kept no longer.
   */
  resume(response: ServerResponse, after: number | null): boolean {
    const from = after ?? this.#written;
    const oldest = this.#kept[0]?.seq ?? this.#seq + 1;
    if (from > this.#seq || from + 1 < oldest) return false;
    // Whoever is gone already takes the stream away from nobody.
    if (response.destroyed) return true;
    this.attach(response);
    this.#streaming = false;
    this.#primed ||= after !== null;
    this.stream();
    for (const event of this.#kept) if (event.seq > from) this.#write(response, event);
    // Nobody waits for it here: a client that asks again and again and reads nothing would have it all kept in memory.
    if (response.writableNeedDrain) void this.#untilDrained(response);
    if (this.complete) this.#finish();
    return true;
  }

  /** Sends one message; resolves when the client can take more. */
  send(text: string, kind: 'answer' | 'other', status: number | null): Promise<void> {
    const response = this.#response;
    if (kind === 'answer') this.#answersLeft -= 1;
    const asJson = status !== null || this.#options.likesEvents?.() !== true;
    if (response !== null && !this.#streaming && kind === 'answer' && this.#options.answers === 1 && asJson) {
      this.#detach();
      this.#replyJson(response, text, status ?? 200);
      return Promise.resolve();
    }
    const event = this.#keep(text);
    if (response === null) return Promise.resolve();
    this.stream();
    const flowing = this.#write(response, event);
    if (this.complete) this.#finish();
    return flowing ? Promise.resolve() : this.#untilDrained(response);
  }

  /** One of the requests is never answered: it was cancelled. */
  skip(): void {
    this.#answersLeft -= 1;
    if (!this.complete || this.#response === null) return;
    this.stream();
    this.#finish();
  }

  /** Ends the response early: the client comes back for the rest after so many milliseconds. */
  pause(retryMs: number): void {
    const response = this.#response;
    // Clients of the revisions before 2025-11-25 take an end without an answer for the end of their request.
    if (response === null || !this.#options.priming) return;
    this.stream();
    response.write(`retry: ${retryMs}\n\n`);
    this.#detach();
    response.end();
  }

  /** Lets go of the response without an answer: somebody else gives one. */
  release(): void {
    this.#detach();
  }

  /** Ends the response for good. */
  close(): void {
    const response = this.#response;
    this.#detach();
    if (response !== null) hangUp(response);
    this.#options.done?.();
  }

  #replyJson(response: ServerResponse, text: string, status: number): void {
    const body = Buffer.from(text, 'utf8');
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, 'cache-control': 'no-store', ...this.#options.headers('json') });
    // Whoever asks for much and reads none of it must not hold it in memory for ever.
    response.setTimeout(CLIENT_STALL_MS_MAX);
    response.end(body);
    this.#options.done?.();
  }

  #keep(text: string): KeptEvent {
    this.#seq += 1;
    const event = { seq: this.#seq, text };
    if (this.#options.ids === null) return event;
    this.#kept.push(event);
    this.#keptBytes += text.length;
    // The newest is kept whatever its size: it may be the answer.
    while (this.#kept.length > 1 && (this.#kept.length > CHANNEL_EVENTS_MAX || this.#keptBytes > CHANNEL_BYTES_MAX)) {
      this.#keptBytes -= this.#kept.shift()?.text.length ?? 0;
    }
    return event;
  }

  #write(response: ServerResponse, event: KeptEvent): boolean {
    this.#written = event.seq;
    const { ids, opening } = this.#options;
    const id = ids === null ? undefined : `${ids}-${event.seq}`;
    return response.write(writeSseEvent({ id, name: opening === undefined ? undefined : 'message', data: event.text }));
  }

  #untilDrained(response: ServerResponse): Promise<void> {
    if (this.#draining?.response === response) return this.#draining.done;
    const draining = { response, done: drained(response) };
    this.#draining = draining;
    return draining.done.finally(() => {
      if (this.#draining === draining) this.#draining = null;
    });
  }

  #finish(): void {
    const response = this.#response;
    this.#detach();
    response?.end();
    this.#options.done?.();
  }

  #beat(): void {
    const response = this.#response;
    if (response === null) return;
    this.stream();
    if (!response.writableNeedDrain) response.write(SSE_COMMENT);
  }

  #left(): void {
    this.#detach();
    this.#options.left?.();
  }

  #detach(): void {
    this.#response = null;
    clearInterval(this.#timer);
  }
}

/** Ends a response early: in order if it has begun. */
function hangUp(response: ServerResponse): void {
  if (response.headersSent) response.end();
  else response.destroy();
}

/** A client that takes nothing for too long loses its connection, not the gateway its memory. */
function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => response.destroy(), CLIENT_STALL_MS_MAX);
    const done = (): void => {
      clearTimeout(timer);
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
