// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { EventEmitter, getEventListeners, once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { client, get, readUntil, serve, text, unavailable } from './servers.ts';

test('a body that is discarded, or left early, closes its connection', async (t) => {
  const closed = new EventEmitter();
  const url = await serve(t, (request, response) => {
    response.on('close', () => closed.emit('close'));
    if (request.url === '/gzip') response.setHeader('Content-Encoding', 'gzip');
    response.write(request.url === '/gzip' ? gzipSync('data: 1\n\n') : 'data: 1\n\n');
  });
  const http = client(t);
  for (const leave of ['discard', 'discard while reading', 'break', 'break in gzip'] as const) {
    const end = once(closed, 'close');
    const response = await http.send(get(new URL(leave === 'break in gzip' ? '/gzip' : '/', url)));
    if (leave.startsWith('break')) {
      for await (const chunk of response.body) if (chunk.length > 0) break;
    } else {
      const reader = response.body[Symbol.asyncIterator]();
      if (leave === 'discard while reading') await readUntil(reader, 'data: 1\n\n');
      const next = leave === 'discard while reading' ? reader.next() : null;
      response.discard();
      if (next !== null) await assert.rejects(next, unavailable('UPSTREAM_UNREACHABLE', /given up/));
    }
    await end;
  }
});

const reasons: readonly unknown[] = [new Error('stop'), 'a text', null, 0, { code: 'ECONNRESET' }];

async function assertReason(promise: Promise<unknown>, reason: unknown): Promise<void> {
  const [settled] = await Promise.allSettled([promise]);
  assert.equal(settled.status, 'rejected');
  assert.equal(settled.reason, reason);
}

test('a signal that is aborted already sends nothing', async (t) => {
  let requests = 0;
  const url = await serve(t, (_request, response) => {
    requests += 1;
    response.end();
  });
  for (const reason of reasons) await assertReason(client(t).send(get(url, { signal: AbortSignal.abort(reason) })), reason);
  assert.equal(requests, 0);
});

test('an abort while the name is looked up ends the request at once, and it is not sent later', async (t) => {
  let requests = 0;
  const url = await serve(t, (_request, response) => {
    requests += 1;
    response.end('later');
  });
  const lookups = new EventEmitter();
  const http = client(t, {
    resolve: async () => {
      await once(lookups, 'answer');
      return [{ address: '127.0.0.1', family: 4 }];
    },
  });
  const named = new URL(`http://server.example:${url.port}/`);
  for (const reason of reasons) {
    const abort = new AbortController();
    const sent = http.send(get(named, { signal: abort.signal }));
    setTimeout(() => abort.abort(reason), 10);
    await assertReason(sent, reason);
  }
  const other = http.send(get(named));
  setTimeout(() => lookups.emit('answer'), 10);
  assert.equal(await text(await other), 'later');
  await new Promise((resolve) => {
    setTimeout(resolve, 50);
  });
  assert.equal(requests, 1);
});

test('an abort while the answer is awaited, and while its body is read, gives the reason and closes the connection', async (t) => {
  const closed = new EventEmitter();
  const url = await serve(t, (request: IncomingMessage, response) => {
    response.on('close', () => closed.emit('close'));
    if (request.method === 'GET') response.writeHead(200, request.url === '/gzip' ? { 'Content-Encoding': 'gzip' } : {}).flushHeaders();
    closed.emit('request');
  });
  const http = client(t);
  for (const reason of reasons) {
    for (const path of ['/', '/gzip', '/post']) {
      const abort = new AbortController();
      const [request, end] = [once(closed, 'request'), once(closed, 'close')];
      const sent = http.send(get(new URL(path, url), { method: path === '/post' ? 'POST' : 'GET', signal: abort.signal }));
      await request;
      const read = path === '/post' ? sent : sent.then(text);
      setTimeout(() => abort.abort(reason), 10);
      await assertReason(read, reason);
      await end;
    }
  }
});

test('a signal that many exchanges share has one listener, and none after their end', async (t) => {
  const url = await serve(t, (request, response) => {
    if (request.url === '/open') response.writeHead(200).flushHeaders();
    else response.end('done');
  });
  const http = client(t);
  const abort = new AbortController();
  const count = (): number => getEventListeners(abort.signal, 'abort').length;
  for (let round = 0; round < 3; round += 1) {
    const responses = await Promise.all(Array.from({ length: 30 }, () => http.send(get(url, { signal: abort.signal }))));
    assert.equal(count(), 1);
    await Promise.all(responses.map(text));
    await new Promise(setImmediate);
    assert.equal(count(), 0);
  }
  const refused = new URL('http://0.0.0.0/');
  await assert.rejects(http.send(get(refused, { signal: abort.signal })));
  assert.equal(count(), 0);
  const discarded = await http.send(get(new URL('/open', url), { signal: abort.signal }));
  discarded.discard();
  await new Promise(setImmediate);
  assert.equal(count(), 0);
  const open = await Promise.all(Array.from({ length: 30 }, () => http.send(get(new URL('/open', url), { signal: abort.signal }))));
  const read = open.map(text);
  abort.abort('over');
  for (const each of read) await assertReason(each, 'over');
  assert.equal(count(), 0);
});

test('closing ends what is under way, and what comes later', async (t) => {
  const arrived = new EventEmitter();
  const url = await serve(t, (request, response) => {
    if (request.method === 'GET') response.writeHead(200).flushHeaders();
    arrived.emit('request');
  });
  const http = client(t);
  const open = await http.send(get(url));
  const read = text(open);
  const request = once(arrived, 'request');
  const waiting = http.send(get(url, { method: 'POST', body: '{}' }));
  await request;
  const ends = [
    assert.rejects(read, unavailable('UPSTREAM_UNREACHABLE', /are closed/)),
    assert.rejects(waiting, unavailable('UPSTREAM_UNREACHABLE', /are closed/)),
  ];
  await http.close();
  await Promise.all(ends);
  await assert.rejects(http.send(get(url)), unavailable('UPSTREAM_UNREACHABLE', /are closed/));
});
