// SPDX-License-Identifier: Apache-2.0
/**
 * Server-sent events as they arrive: chunks in, events out, whatever the chunking (WHATWG HTML 9.2.6, "Interpreting an
 * event stream"). The data stays bytes, because whoever decodes a message must refuse what is not UTF-8 instead of
 * mending it. Comments and unknown fields are dropped as they arrive, so that an endless one costs no memory.
 */
import { BoundedBytes } from '../frame/bounded.ts';
import type { FrameEvent } from '../frame/ndjson.ts';
import { MESSAGE_BYTES_MAX, OVERSIZE_KEEP_BYTES, SSE_ID_BYTES_MAX, SSE_NAME_BYTES_MAX, SSE_RETRY_MS_MAX } from '../limits.ts';

export interface SseEvent {
  /** `message` if the event names none; empty, which is no name in use, if it is too long or not UTF-8. */
  readonly name: string;
  /** The data lines, joined by LF; null without any. One empty line is a frame of no bytes. */
  readonly data: FrameEvent | null;
  /** Null without an id, or with one that is too long, not UTF-8 or holds U+0000. */
  readonly id: string | null;
  /** Milliseconds. */
  readonly retry: number | null;
}

export interface SseParser {
  /** Takes the next bytes; gives the events that ended within them. */
  push(chunk: Uint8Array): SseEvent[];
  /** Takes the end of the input. What has no blank line behind it is no event, so this gives none. */
  end(): SseEvent[];
  /** True while data waits for the end of its event, and after an end that cut it off. */
  readonly unfinished: boolean;
}

export interface SseOptions {
  /** Bytes of the data of one event. Default MESSAGE_BYTES_MAX. */
  readonly bytesMax?: number;
}

/** Time is linear in the input for any chunking; memory is at most about twice `bytesMax`. */
export function createSseParser(options: SseOptions = {}): SseParser {
  return new Parser(options.bytesMax ?? MESSAGE_BYTES_MAX);
}

/** What keeps a quiet stream open. */
export const SSE_COMMENT = ': keep-alive\n\n';

/** The text of one event. RangeError where a reader would not see these values again. */
export function writeSseEvent(event: {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly retry?: number | undefined;
  readonly data: string;
}): string {
  const { id, name, retry, data } = event;
  if (/[\r\n]/.test(data)) throw new RangeError('SSE data must be one line');
  if (id !== undefined && /[\r\n\0]/.test(id)) throw new RangeError('an SSE id must be one line without U+0000');
  if (name !== undefined && !/^[^\r\n]+$/.test(name)) throw new RangeError('an SSE event name must be one line and not empty');
  if (retry !== undefined && (!Number.isSafeInteger(retry) || retry < 0)) throw new RangeError('an SSE retry must be whole milliseconds');
  const fields = { event: name, id, retry, data };
  const lines = Object.entries(fields).map(([field, value]) => (value === undefined ? '' : `${field}: ${value}\n`));
  return `${lines.join('')}\n`;
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const LINE_FEED: Uint8Array = Uint8Array.of(LF);

/** A byte order mark, one character per byte like the field names. */
const BOM = '\xef\xbb\xbf';
const FIELDS: ReadonlySet<string> = new Set(['data', 'event', 'id', 'retry']);
/** Bytes of a field name that are looked at: a byte order mark and the longest known name. */
const FIELD_LENGTH_MAX = 8;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Parser implements SseParser {
  readonly #data: BoundedBytes;
  readonly #value: BoundedBytes = new BoundedBytes(SSE_ID_BYTES_MAX, 0);
  /** Where in a line the next byte falls; `ignored`: nothing matters up to its end. */
  #at: 'field' | 'space' | 'value' | 'ignored' = 'field';
  #field = '';
  #firstLine = true;
  #afterCr = false;
  #hasData = false;
  #cutOff = false;
  #name = 'message';
  #id: string | null = null;
  #retry: number | null = null;

  constructor(bytesMax: number) {
    this.#data = new BoundedBytes(bytesMax, Math.min(OVERSIZE_KEEP_BYTES, bytesMax));
  }

  get unfinished(): boolean {
    return this.#hasData || this.#cutOff;
  }

  push(chunk: Uint8Array): SseEvent[] {
    this.#cutOff = false;
    const events: SseEvent[] = [];
    let from = 0;
    // Each is looked for again only once it is passed, or a chunk without CR would be read again at every LF.
    let cr = -1;
    let lf = -1;
    while (from < chunk.length) {
      const pairedLf = this.#afterCr && chunk[from] === LF;
      this.#afterCr = false;
      if (pairedLf) from += 1;
      if (cr < from) cr = indexOrEnd(chunk, CR, from);
      if (lf < from) lf = indexOrEnd(chunk, LF, from);
      const end = Math.min(cr, lf);
      this.#take(chunk.subarray(from, end));
      if (end === chunk.length) break;
      const event = this.#endLine();
      if (event !== undefined) events.push(event);
      this.#afterCr = end === cr;
      from = end + 1;
    }
    return events;
  }

  end(): SseEvent[] {
    const cutOff = this.unfinished;
    this.#clearLine();
    this.#clearEvent();
    this.#firstLine = true;
    this.#afterCr = false;
    this.#cutOff = cutOff;
    return [];
  }

  /** Takes attacker-controlled bytes of one line. */
  #take(part: Uint8Array): void {
    let at = 0;
    for (; this.#at === 'field' && at < part.length; at += 1) this.#takeFieldByte(part[at] ?? 0);
    if (at === part.length) return;
    if (this.#at === 'space') {
      this.#at = 'value';
      if (part[at] === SPACE) at += 1;
    }
    if (this.#at === 'value') (this.#field === 'data' ? this.#data : this.#value).add(part.subarray(at));
  }

  #takeFieldByte(byte: number): void {
    if (byte === COLON) this.#openField();
    else if (this.#field.length === FIELD_LENGTH_MAX) this.#at = 'ignored';
    else this.#field += String.fromCharCode(byte);
  }

  #openField(): void {
    if (this.#firstLine && this.#field.startsWith(BOM)) this.#field = this.#field.slice(BOM.length);
    this.#at = FIELDS.has(this.#field) ? 'space' : 'ignored';
    if (this.#field !== 'data') return;
    if (this.#hasData) this.#data.add(LINE_FEED);
    this.#hasData = true;
  }

  #endLine(): SseEvent | undefined {
    // A line without a colon is a field without a value, or blank.
    const colon = this.#at !== 'field';
    if (!colon) this.#openField();
    const blank = !colon && this.#field === '';
    if (this.#at !== 'ignored' && this.#field !== 'data') this.#setField();
    this.#clearLine();
    this.#firstLine = false;
    return blank ? this.#dispatch() : undefined;
  }

  /** Of several fields of one name the last counts that can be read. */
  #setField(): void {
    const text = this.#value.isWhole() ? decode(this.#value.copy(this.#value.size)) : null;
    if (this.#field === 'event') {
      this.#name = text === null || this.#value.size > SSE_NAME_BYTES_MAX ? '' : text || 'message';
    } else if (this.#field === 'id') {
      if (text !== null && !text.includes('\0')) this.#id = text;
    } else if (text !== null && /^[0-9]+$/.test(text)) {
      this.#retry = Math.min(Number(text), SSE_RETRY_MS_MAX);
    }
  }

  #dispatch(): SseEvent | undefined {
    const data = this.#hasData ? this.#frame() : null;
    const event = { name: this.#name, data, id: this.#id, retry: this.#retry };
    this.#clearEvent();
    return data === null && event.id === null && event.retry === null ? undefined : event;
  }

  #frame(): FrameEvent {
    if (this.#data.isWhole()) return { kind: 'frame', bytes: this.#data.copy(this.#data.size) };
    return { kind: 'oversize', ...this.#data.ends() };
  }

  #clearLine(): void {
    this.#value.clear();
    this.#field = '';
    this.#at = 'field';
  }

  #clearEvent(): void {
    this.#data.clear();
    this.#hasData = false;
    this.#name = 'message';
    this.#id = null;
    this.#retry = null;
  }
}

function indexOrEnd(chunk: Uint8Array, byte: number, from: number): number {
  const at = chunk.indexOf(byte, from);
  return at === -1 ? chunk.length : at;
}

/** The text of some UTF-8, or null if it is not. */
function decode(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}
