// SPDX-License-Identifier: Apache-2.0
/**
 * Streams over descriptors that Node does not know. libuv's pipe reads, writes, accepts and half-closes any stream socket;
 * Node only refuses to make one for an address family that it has not heard of. So the class behind its Unix sockets is
 * taken from a server of Node's own, and given the descriptor. These are Node's internals: the runtime is pinned, and
 * selfTest() proves at start that they still do what is needed.
 */
import { randomBytes } from 'node:crypto';
import { createServer, Socket } from 'node:net';
import { Unavailable } from '../errors.ts';

/** PipeConstants of Node's pipe_wrap. */
const SOCKET = 0;
const SERVER = 1;

interface PipeHandle {
  open(fd: number): number | undefined;
  listen(backlog: number): number;
  close(done?: () => void): void;
  readonly fd: number;
}

function isPipe(value: unknown): value is PipeHandle {
  return typeof value === 'object' && value !== null && ['open', 'listen', 'close'].every((name) => typeof Reflect.get(value, name) === 'function');
}

function incompatible(cause?: unknown): Unavailable {
  return new Unavailable('NATIVE_MISSING', 'this Node cannot carry vsock streams', 'run the Node that mcp-bastion pins', cause);
}

let pipeClass: unknown;

/** The constructor of Node's pipe handles. */
async function findPipe(): Promise<void> {
  if (pipeClass !== undefined) return;
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // An abstract name leaves no file behind.
    server.listen(`\0mcp-bastion-${randomBytes(12).toString('hex')}`, resolve);
  });
  const handle: unknown = Reflect.get(server, '_handle');
  const found: unknown = typeof handle === 'object' && handle !== null ? handle.constructor : undefined;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  if (typeof found !== 'function') throw incompatible();
  pipeClass = found;
}

function createPipe(type: number): PipeHandle {
  if (typeof pipeClass !== 'function') throw new TypeError('prepare() comes first');
  const pipe: unknown = Reflect.construct(pipeClass, [type]);
  if (!isPipe(pipe)) throw incompatible();
  return pipe;
}

function streamOf(handle: PipeHandle): Socket {
  const stream: unknown = Reflect.construct(Socket, [{ handle, allowHalfOpen: true, readable: true, writable: true }]);
  if (!(stream instanceof Socket)) throw incompatible();
  return stream;
}

/** Finds what adopting needs; once per process. */
export function prepare(): Promise<void> {
  return findPipe();
}

/** A stream over a connected descriptor, which it owns from then on. Half-close works in both directions. */
export function adoptStream(fd: number): Socket {
  const pipe = createPipe(SOCKET);
  const error = pipe.open(fd);
  if (error !== undefined && error !== 0) throw incompatible(new Error(`open: ${error}`));
  return streamOf(pipe);
}

export interface AdoptedListener {
  close(): void;
}

/**
 * Accepts connections on a bound descriptor, which it owns from then on.
 * @param accept gets each stream and its descriptor
 */
export function adoptListener(fd: number, backlog: number, accept: (stream: Socket, fd: number) => void, failed: (error: Error) => void): AdoptedListener {
  const pipe = createPipe(SERVER);
  const opened = pipe.open(fd);
  if (opened !== undefined && opened !== 0) throw incompatible(new Error(`open: ${opened}`));
  Reflect.set(pipe, 'onconnection', (status: number, client: unknown) => {
    if (status !== 0 || !isPipe(client)) failed(new Error(`accept: ${status}`));
    else accept(streamOf(client), client.fd);
  });
  const listening = pipe.listen(backlog);
  if (listening === 0) return { close: () => pipe.close() };
  pipe.close();
  throw incompatible(new Error(`listen: ${listening}`));
}
