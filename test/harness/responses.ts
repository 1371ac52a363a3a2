// SPDX-License-Identifier: Apache-2.0
/** A response of node's HTTP server without a connection: notes what is written, and closes when the test says so. */
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';

export class FakeResponse extends EventEmitter {
  status = 0;
  headers: Record<string, unknown> = {};
  text = '';
  headersSent = false;
  destroyed = false;
  ended = false;
  /** What `write` says: false while the client takes nothing. */
  flowing = true;

  get asResponse(): ServerResponse {
    return this as unknown as ServerResponse;
  }

  get writableNeedDrain(): boolean {
    return !this.flowing;
  }

  writeHead(status: number, headers: Record<string, unknown>): this {
    this.status = status;
    this.headers = headers;
    this.headersSent = true;
    return this;
  }

  flushHeaders(): void {
    this.headersSent = true;
  }

  write(chunk: string): boolean {
    this.text += chunk;
    return this.flowing;
  }

  end(chunk: string | Uint8Array = ''): void {
    this.text += Buffer.from(chunk).toString('utf8');
    this.headersSent = true;
    this.ended = true;
  }

  /** Milliseconds without progress after which the connection is closed. */
  stallMs = 0;

  setTimeout(ms: number): void {
    this.stallMs = ms;
  }

  /** The connection is gone. */
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('close');
  }
}
