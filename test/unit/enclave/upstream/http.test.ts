// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createRawServer } from 'node:net';
import test from 'node:test';
import type { UpstreamResponse } from '../../../../enclave/upstream/http.ts';
import { UPSTREAM_BODIES_LENGTH_MAX } from '../../../../shared/limits.ts';
import { client, get, listen, readUntil, serve, serveRaw, text, turn, unavailable } from './servers.ts';

test('a request arrives as it was made, asks for no encoding, and its answer comes back', async (t) => {
  const seen: (string | undefined)[] = [];
  const url = await serve(t, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    seen.push(request.method, request.url, String(request.headers['mcp-name']), request.headers['accept-encoding'], body);
    response.writeHead(201, { 'Content-Type': 'application/json' }).end('{"ok":true}');
  });
  const response = await client(t).send({ method: 'POST', url: new URL('?a=1', url), headers: { 'Mcp-Name': 'x', 'Accept-Encoding': 'gzip, br' }, body: '{"é":1}', signal: null });
  assert.equal(response.status, 201);
  assert.equal(response.header('content-type'), 'application/json');
  assert.equal(await text(response), '{"ok":true}');
  assert.deepEqual(seen, ['POST', '/mcp?a=1', 'x', 'identity', '{"é":1}']);
});

test('DELETE and GET are sent without a body', async (t) => {
  const seen: (string | undefined)[] = [];
  const url = await serve(t, (request, response) => {
    seen.push(request.method, request.headers['content-length'], request.headers['transfer-encoding']);
    response.end();
  });
  const http = client(t);
  assert.equal(await text(await http.send(get(url))), '');
  assert.equal(await text(await http.send(get(url, { method: 'DELETE' }))), '');
  assert.deepEqual(seen, ['GET', undefined, undefined, 'DELETE', undefined, undefined]);
});

for (const status of [301, 302, 303, 307, 308]) {
  test(`a redirect with ${status} is an answer: nothing is sent to where it leads`, async (t) => {
    let requests = 0;
    const url = await serve(t, (_request, response) => {
      requests += 1;
      response.writeHead(status, { Location: '/elsewhere' }).end();
    });
    const response = await client(t).send(get(url, { method: 'POST', body: '{}' }));
    response.discard();
    assert.equal(response.status, status);
    assert.equal(response.header('location'), '/elsewhere');
    assert.equal(requests, 1);
  });
}

test('a header that is absent or has two different values is null', async (t) => {
  const url = await serveRaw(t, (socket) => {
    socket.end('HTTP/1.1 200 OK\r\nOne: 1\r\nSame: a\r\nSAME:  a \r\nTwo: a\r\nTwo: b\r\nEmpty:\r\n__proto__: x\r\nContent-Length: 0\r\n\r\n');
  });
  const response = await client(t).send(get(url));
  response.discard();
  const values = ['one', 'same', 'two', 'empty', 'absent', 'constructor', 'toString', 'hasOwnProperty'].map((name) => response.header(name));
  assert.deepEqual(values, ['1', 'a', null, '', null, null, null, null]);
});

test('a caller cannot frame a message, and what is no header is no request', async (t) => {
  let requests = 0;
  const url = await serve(t, (_request, response) => {
    requests += 1;
    response.end();
  });
  const http = client(t);
  for (const headers of [{ Host: 'evil.example' }, { 'content-length': '1' }, { 'Transfer-Encoding': 'chunked' }, { connection: 'close' }, { a: 'b\r\nc: d' }, { 'a b': 'c' }, { a: '\u0000' }]) {
    await assert.rejects(http.send(get(url, { headers })), TypeError, JSON.stringify(headers));
  }
  assert.equal(requests, 0);
});

test('requests that follow each other share a connection, and an empty answer that is discarded does not cost one', async (t) => {
  let connections = 0;
  const server = createServer((request, response) => {
    if (request.method === 'POST') response.writeHead(202).end();
    else response.end('a'.repeat(100_000));
  });
  server.on('connection', () => {
    connections += 1;
  });
  const url = new URL(`http://127.0.0.1:${await listen(t, server)}/`);
  const http = client(t);
  for (let sent = 0; sent < 3; sent += 1) {
    assert.equal((await text(await http.send(get(url)))).length, 100_000);
    await turn();
    (await http.send(get(url, { method: 'POST', body: '{}' }))).discard();
    await turn();
  }
  assert.equal(connections, 1);
});

test('many streams stand open beside each other', async (t) => {
  const open: ServerResponse[] = [];
  const url = await serve(t, (request, response) => {
    if (request.method === 'POST') {
      response.end('done');
    } else {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(': hello\n\n');
      open.push(response);
    }
  });
  const http = client(t);
  const streams = await Promise.all(Array.from({ length: 100 }, () => http.send(get(url))));
  assert.equal(await text(await http.send(get(url, { method: 'POST', body: '{}' }))), 'done');
  assert.equal(open.length, 100);
  for (const response of open) response.end('data: 1\n\n');
  assert.deepEqual(await Promise.all(streams.map(text)), Array.from({ length: 100 }, () => ': hello\n\ndata: 1\n\n'));
});

test('a server that is not there is unreachable', async (t) => {
  const server = createRawServer();
  const port = await listen(t, server);
  server.close();
  await once(server, 'close');
  await assert.rejects(client(t).send(get(new URL(`http://127.0.0.1:${port}/`))), unavailable('UPSTREAM_UNREACHABLE', /refuses connections/));
});

const head = 'HTTP/1.1 200 OK\r\n';
const cut: readonly [string, string, 'end' | 'reset'][] = [
  ['resets the connection', `${head}Content-Length: 100\r\n\r\nabc`, 'reset'],
  ['closes before the announced length', `${head}Content-Length: 100\r\n\r\nabc`, 'end'],
  ['closes within chunks', `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`, 'end'],
  ['resets within chunks', `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`, 'reset'],
];

for (const [name, answer, end] of cut) {
  test(`a server that ${name} gives what came and then an error`, async (t) => {
    const steps = new EventEmitter();
    const url = await serveRaw(t, (socket) => {
      socket.write(answer);
      steps.once('read', () => (end === 'end' ? socket.end() : socket.resetAndDestroy()));
    });
    const response = await client(t).send(get(url));
    const reader = response.body[Symbol.asyncIterator]();
    await readUntil(reader, 'abc');
    steps.emit('read');
    await assert.rejects(reader.next(), unavailable('UPSTREAM_UNREACHABLE', /closed the connection|ended its answer too early/));
  });
}

test('a server that closes without an answer is unreachable', async (t) => {
  const url = await serveRaw(t, (socket) => socket.end());
  await assert.rejects(client(t).send(get(url)), unavailable('UPSTREAM_UNREACHABLE', /closed the connection/));
});

const malformed: readonly [string, string][] = [
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['a bad header', `${head}secret header\r\n\r\n`],
  ['a bad length', `${head}Content-Length: 1e3\r\n\r\n`],
  ['two lengths', `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
  ['a length and chunks', `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['a bare line feed in a header', `${head}A: b\nB: c\r\n\r\n`],
  ['a header that goes on', `${head}A: b\r\n c\r\n\r\n`],
];

for (const [name, answer] of malformed) {
  test(`an answer with ${name} breaks the protocol`, async (t) => {
    const url = await serveRaw(t, (socket) => socket.write(answer));
    await assert.rejects(client(t).send(get(url)), unavailable('UPSTREAM_PROTOCOL', /not valid HTTP/));
  });
}

test('headers may be long, not endless', async (t) => {
  const long = await serveRaw(t, (socket) => socket.end(`${head}A: ${'a'.repeat(60_000)}\r\nContent-Length: 0\r\n\r\n`));
  const response = await client(t).send(get(long));
  response.discard();
  assert.equal(response.header('a')?.length, 60_000);
  for (const header of [`A: ${'a'.repeat(70_000)}`, Array.from({ length: 10_000 }, (_, index) => `A${index}: ${index}`).join('\r\n')]) {
    const url = await serveRaw(t, (socket) => socket.write(`${head}${header}\r\n\r\n`));
    await assert.rejects(client(t).send(get(url)), unavailable('UPSTREAM_PROTOCOL', /headers are longer/));
  }
});

test('an answer that nobody asked for is not the answer to the next request', async (t) => {
  const url = await serveRaw(t, (socket, connection) => {
    const one = `${head}Content-Length: 1\r\n\r\n${connection}`;
    socket.write(connection === 1 ? `${one}${head}Content-Length: 4\r\n\r\nevil` : one);
  });
  const http = client(t);
  assert.equal(await text(await http.send(get(url))), '1');
  assert.equal(await text(await http.send(get(url))), '2');
});

test('a length of 4 GiB takes no memory before the bytes come', async (t) => {
  const url = await serveRaw(t, (socket) => socket.write(`${head}Content-Length: 4294967296\r\n\r\nabc`));
  const before = process.memoryUsage().rss;
  const response = await client(t).send(get(url));
  await readUntil(response.body[Symbol.asyncIterator](), 'abc');
  assert.ok(process.memoryUsage().rss - before < 256 * 1024 * 1024);
  response.discard();
});

test('a body that nobody reads is not taken from the server', async (t) => {
  let written = 0;
  const url = await serve(t, (_request, response) => {
    const chunk = Buffer.alloc(64 * 1024);
    function more(): void {
      while (written < 64 * 1024 * 1024) {
        written += chunk.length;
        if (!response.write(chunk)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    }
    more();
  });
  const response = await client(t).send(get(url));
  await new Promise((resolve) => {
    setTimeout(resolve, 200);
  });
  assert.ok(written < 32 * 1024 * 1024, `${written} bytes were written`);
  response.discard();
});

test('long bodies whose answers do not come are refused beyond a sum, and short ones still go', async (t) => {
  const held: ServerResponse[] = [];
  const url = await serve(t, (request, response) => {
    request.resume();
    held.push(response);
  });
  const http = client(t);
  const body = 'x'.repeat(UPSTREAM_BODIES_LENGTH_MAX / 4);
  const long = (): Promise<UpstreamResponse> => http.send(get(url, { method: 'POST', body }));
  const open = [long(), long(), long(), long()];
  await assert.rejects(long(), unavailable('UPSTREAM_UNREACHABLE', /too many long messages/));
  const short = http.send(get(url, { method: 'POST', body: '{}' }));
  while (held.length < 5) await turn();
  for (const response of held) response.end();
  for (const response of await Promise.all([...open, short])) assert.equal(await text(response), '');
  const again = long();
  while (held.length < 6) await turn();
  held.at(-1)?.end();
  assert.equal(await text(await again), '');
});
