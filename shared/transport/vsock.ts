// SPDX-License-Identifier: Apache-2.0
/**
 * AF_VSOCK streams. The addon makes the descriptors, libuv moves the bytes. Writes are cut at VSOCK_WRITE_BYTES_MAX, so
 * that emulators, which take no more at once, and hardware run the same code.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Address } from '../address.ts';
import { Unavailable } from '../errors.ts';
import { VSOCK_BACKLOG, VSOCK_WRITE_BYTES_MAX } from '../limits.ts';
import { adoptListener, adoptStream, prepare } from './adopt.ts';
import { native, systemErrorName } from './native.ts';
import { OpenStreams } from './open.ts';
import type { Listener, ListenOptions } from './types.ts';

type VsockAddress = Extract<Address, { kind: 'vsock' }>;

/** A duplex over another that hands on writes in pieces, and everything else as it is. */
class Cut extends Duplex {
  readonly #socket: Socket;
  #wanting = false;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true, readableHighWaterMark: VSOCK_WRITE_BYTES_MAX, writableHighWaterMark: VSOCK_WRITE_BYTES_MAX });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => {
      if (!this.readableEnded || !this.writableFinished) this.destroy();
    });
    socket.pause();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#writeFrom(chunk, 0, done);
  }

  #writeFrom(chunk: Buffer, from: number, done: (error?: Error | null) => void): void {
    const to = Math.min(from + VSOCK_WRITE_BYTES_MAX, chunk.length);
    this.#socket.write(chunk.subarray(from, to), (error) => {
      if (error !== null && error !== undefined) done(error);
      else if (to < chunk.length) this.#writeFrom(chunk, to, done);
      else done();
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#wanting = true;
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // What was written and ended still leaves; anything else is cut off.
    if (error === null && this.#wanting) this.#socket.destroySoon();
    else this.#socket.destroy();
    done(error);
  }
}

function unreachable(error: unknown): Unavailable {
  const name = systemErrorName(error) ?? 'an error';
  return new Unavailable('STREAM_FAILED', `the vsock stream cannot be opened (${name})`, 'check that the other side runs and listens on this port', error);
}

/** Rejects with Unavailable (STREAM_FAILED, NATIVE_MISSING). */
export async function openVsock(address: VsockAddress, timeoutMs: number): Promise<Duplex> {
  const addon = native();
  await prepare();
  let fd: number;
  try {
    fd = await addon.connect(address.cid, address.port, timeoutMs);
  } catch (error) {
    throw unreachable(error);
  }
  return new Cut(adoptStream(fd));
}

/** Rejects with Unavailable (LISTEN_FAILED, NATIVE_MISSING). */
export async function listenVsock(address: VsockAddress, options: ListenOptions): Promise<Listener> {
  const addon = native();
  await prepare();
  const open = new OpenStreams(options.connectionsMax);
  let fd: number;
  try {
    fd = addon.bind(address.cid, address.port);
  } catch (error) {
    throw new Unavailable('LISTEN_FAILED', `the vsock port ${address.port} cannot be taken (${systemErrorName(error) ?? 'an error'})`, 'find out what listens there', error);
  }
  const bound = addon.local(fd);
  const accept = (socket: Socket, accepted: number): void => {
    const stream = new Cut(socket);
    if (!open.admit(stream)) return;
    try {
      options.accept(stream, { kind: 'vsock', ...addon.peer(accepted) });
    } catch (error) {
      // The peer is gone already.
      stream.destroy();
      options.failed(error instanceof Error ? error : new Error('accept'));
    }
  };
  const listener = adoptListener(fd, options.backlog ?? VSOCK_BACKLOG, accept, options.failed);
  return {
    address: { kind: 'vsock', cid: address.cid, port: bound.port },
    close: () => {
      listener.close();
      open.end();
      return Promise.resolve();
    },
  };
}
