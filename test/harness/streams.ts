// SPDX-License-Identifier: Apache-2.0
/** What every kind of stream has to do, as steps that any runner can take: the test suite, or a booted guest. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Address } from '../../shared/address.ts';
import { Unavailable } from '../../shared/errors.ts';
import { connectStream, listenStream } from '../../shared/transport/transport.ts';
import type { Listener, ListenOptions, StreamPeer } from '../../shared/transport/types.ts';

export interface StreamPlace {
  /** A free place to listen on, and where it is reached. */
  next(): { readonly listen: Address; readonly connect: (bound: Address) => Address };
  /** Where nobody listens. */
  nowhere(): Address;
  readonly peer: StreamPeer['kind'];
  /** Milliseconds that a connection may take: emulated machines are slow. */
  readonly patience: number;
}

interface Opened {
  readonly listener: Listener;
  readonly dial: () => Promise<Duplex>;
}

async function open(place: StreamPlace, accept: ListenOptions['accept'], connectionsMax = 1000): Promise<Opened> {
  const { listen, connect } = place.next();
  const listener = await listenStream(listen, { accept, failed: (error) => assert.fail(error), connectionsMax });
  return { listener, dial: () => connectStream(connect(listener.address), place.patience) };
}

/** The two ends of one stream. */
async function pair(place: StreamPlace): Promise<{ near: Duplex; far: Duplex; peer: StreamPeer; end: () => Promise<void> }> {
  let settle: (accepted: { far: Duplex; peer: StreamPeer }) => void = () => undefined;
  const accepted = new Promise<{ far: Duplex; peer: StreamPeer }>((resolve) => {
    settle = resolve;
  });
  const { listener, dial } = await open(place, (far, peer) => settle({ far, peer }));
  const near = await dial();
  near.on('error', () => undefined);
  return { near, ...(await accepted), end: () => listener.close() };
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Resolves when the stream is closed, whatever it says before. */
function closing(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    stream.once('close', resolve);
  });
}

const SIZE = 1024 * 1024 + 3;
/** Far above what two ends and the kernel between them may hold. */
const HELD_MAX = 24 * 1024 * 1024;

export const STREAM_CASES: readonly (readonly [behaviour: string, run: (place: StreamPlace) => Promise<void>])[] = [
  [
    'carries bytes in both directions, whatever pieces they come in',
    async (place) => {
      const { near, far, peer, end } = await pair(place);
      assert.equal(peer.kind, place.peer);
      const there = randomBytes(SIZE);
      const back = randomBytes(SIZE);
      for (let at = 0; at < SIZE; at += 70_001) near.write(there.subarray(at, at + 70_001));
      near.end();
      far.end(back);
      const [got, answered] = await Promise.all([buffer(far), buffer(near)]);
      assert.ok(got.equals(there));
      assert.ok(answered.equals(back));
      await end();
    },
  ],
  [
    'ends one direction while the other goes on',
    async (place) => {
      const { near, far, end } = await pair(place);
      near.end('question');
      assert.equal((await buffer(far)).toString(), 'question');
      await wait(20);
      const late = randomBytes(SIZE);
      far.end(late);
      assert.ok((await buffer(near)).equals(late));
      await end();
    },
  ],
  [
    'holds a writer back whose peer does not read, and loses nothing',
    async (place) => {
      const { near, far, end } = await pair(place);
      const chunk = randomBytes(256 * 1024);
      let written = 0;
      while (written < HELD_MAX) {
        written += chunk.length;
        if (!near.write(chunk) && (await Promise.race([once(near, 'drain'), wait(300)])) === undefined) break;
      }
      assert.ok(written < HELD_MAX, `${written} bytes were taken`);
      near.end();
      let read = 0;
      for await (const piece of far) read += (piece as Buffer).length;
      assert.equal(read, written);
      await end();
    },
  ],
  [
    'tells a writer that its peer is gone',
    async (place) => {
      const { near, far, end } = await pair(place);
      far.destroy();
      const closed = closing(near);
      const pushing = setInterval(() => near.write(Buffer.alloc(65_536)), 5);
      near.resume();
      await closed;
      clearInterval(pushing);
      assert.ok(near.destroyed);
      await end();
    },
  ],
  [
    'says that nobody listens',
    async (place) => {
      await assert.rejects(connectStream(place.nowhere(), place.patience), (error) => error instanceof Unavailable && error.code === 'STREAM_FAILED');
    },
  ],
  [
    'ends the streams above the limit and keeps those below it',
    async (place) => {
      const kept: Duplex[] = [];
      const { listener, dial } = await open(place, (stream) => kept.push(stream), 2);
      const streams = await Promise.all([1, 2, 3, 4].map(async () => (await dial()).on('error', () => undefined)));
      const ended = Promise.all(streams.map((stream) => Promise.race([closing(stream.resume()).then(() => 1), wait(1500).then(() => 0)])));
      for (const stream of streams) {
        if (stream.readableEnded) stream.end();
        else stream.once('end', () => stream.end());
      }
      assert.equal((await ended).reduce((sum: number, one) => sum + one, 0), 2);
      assert.equal(kept.length, 2);
      await listener.close();
    },
  ],
  [
    'takes a hundred connections at once',
    async (place) => {
      const { listener, dial } = await open(place, (stream) => stream.pipe(stream));
      const answers = await Promise.all(
        Array.from({ length: 100 }, async (_, index) => {
          const stream = await dial();
          stream.end(`stream ${index}`);
          return (await buffer(stream)).toString();
        }),
      );
      assert.deepEqual(answers, Array.from({ length: 100 }, (_, index) => `stream ${index}`));
      await listener.close();
    },
  ],
  [
    'ends what is open when the listener is closed',
    async (place) => {
      const { near, end } = await pair(place);
      const closed = closing(near.resume());
      near.once('end', () => near.end());
      await end();
      await closed;
    },
  ],
  [
    'carries HTTP',
    async (place) => {
      const http = createServer((incoming, response) => {
        incoming.pipe(response);
      });
      const { listener, dial } = await open(place, (stream) => http.emit('connection', stream));
      const body = randomBytes(300_000);
      const stream = await dial();
      const answer = await new Promise<Buffer>((resolve, reject) => {
        const asked = request({ method: 'POST', path: '/', host: 'peer', createConnection: () => stream }, (response) => resolve(buffer(response)));
        asked.on('error', reject).end(body);
      });
      assert.ok(answer.equals(body));
      await listener.close();
      http.close();
    },
  ],
];
