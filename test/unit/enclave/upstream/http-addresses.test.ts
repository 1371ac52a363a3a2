// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { TestContext } from 'node:test';
import test from 'node:test';
import type { Resolve } from '../../../../enclave/upstream/http.ts';
import type { Unavailable } from '../../../../shared/errors.ts';
import { makeCertificate } from './certificate.ts';
import { client, get, listen, resolver, serve, text, turn, unavailable } from './servers.ts';

// The forbidden addresses here lead back to this machine, if anywhere: the unit tests of the guard have the others.

test('an address in the URL that is never right is refused, with allow_private too', async (t) => {
  const url = await serve(t, (_request, response) => response.end());
  const { resolve, asked } = resolver();
  const http = client(t, { resolve });
  for (const host of ['0.0.0.0', '[::]', '[::ffff:0.0.0.0]', '0', '0x0', '224.0.0.1', '255.255.255.255']) {
    for (const scheme of ['http', 'https']) {
      await assert.rejects(http.send(get(new URL(`${scheme}://${host}:${url.port}/`))), unavailable('UPSTREAM_ADDRESS', /^the server has a/));
    }
  }
  assert.deepEqual(asked, []);
});

test('an address inside is refused without allow_private, in all its forms, and no connection is made', async (t) => {
  let connections = 0;
  const server = createServer((_request, response) => response.end());
  server.on('connection', () => {
    connections += 1;
  });
  const port = await listen(t, server);
  const http = client(t, { allowPrivate: false });
  for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '[::ffff:127.0.0.1]', 'localhost']) {
    for (const scheme of ['http', 'https']) {
      const failure = await http.send(get(new URL(`${scheme}://${host}:${port}/`))).catch((error: unknown) => error);
      unavailable('UPSTREAM_ADDRESS', /loopback address/)(failure);
      assert.match((failure as Unavailable).hint, /allow_private: true/);
    }
  }
  assert.equal(connections, 0);
});

test('a name whose addresses are not all permitted is refused, wherever the bad one stands', async (t) => {
  let connections = 0;
  const server = createServer((_request, response) => response.end());
  server.on('connection', () => {
    connections += 1;
  });
  const port = await listen(t, server);
  const bad = ['0.0.0.0', '::', '::ffff:0.0.0.0', '::1%lo', '127.1', '0x7f000001', 'localhost', ''];
  for (const address of bad) {
    for (const answer of [[address], ['127.0.0.1', address], [address, '127.0.0.1'], ['127.0.0.1', '127.0.0.1', address]]) {
      const http = client(t, { resolve: resolver(answer).resolve });
      await assert.rejects(http.send(get(new URL(`http://server.example:${port}/`))), unavailable('UPSTREAM_ADDRESS', /address/), answer.join(' '));
    }
  }
  assert.equal(connections, 0);
});

test('a name is looked up once for a connection, which goes to the address that was judged', async (t) => {
  const url = await serve(t, (request, response) => response.end(request.headers.host));
  const { resolve, asked } = resolver(['127.0.0.1'], ['0.0.0.0']);
  const http = client(t, { resolve });
  const named = new URL(`http://server.example:${url.port}/`);
  assert.equal(await text(await http.send(get(named))), `server.example:${url.port}`);
  assert.deepEqual(asked, ['server.example']);
  await turn();
  // The connection stays with its address while the name moves on.
  assert.equal(await text(await http.send(get(named))), `server.example:${url.port}`);
  assert.deepEqual(asked, ['server.example']);
});

test('a name that leads elsewhere at the next connection is refused then (DNS rebinding)', async (t) => {
  const url = await serve(t, (_request, response) => response.writeHead(200, { Connection: 'close' }).end('a'));
  const { resolve, asked } = resolver(['127.0.0.1'], ['0.0.0.0']);
  const http = client(t, { resolve });
  const named = new URL(`http://server.example:${url.port}/`);
  assert.equal(await text(await http.send(get(named))), 'a');
  await assert.rejects(http.send(get(named)), unavailable('UPSTREAM_ADDRESS', /unspecified/));
  assert.equal(asked.length, 2);
});

test('a public name that turns to loopback is refused, also with a dot at its end', async (t) => {
  for (const host of ['server.example', 'server.example.', 'localhost.']) {
    for (const address of ['127.0.0.1', '::1', '::ffff:7f00:1']) {
      const http = client(t, { allowPrivate: false, resolve: resolver([address]).resolve });
      await assert.rejects(http.send(get(new URL(`https://${host}/`))), unavailable('UPSTREAM_ADDRESS', /loopback/));
    }
  }
});

test('of several permitted addresses another is tried if one does not answer', async (t) => {
  const url = await serve(t, (_request, response) => response.end('here'));
  const http = client(t, { resolve: resolver(['127.0.0.2', '127.0.0.1']).resolve });
  assert.equal(await text(await http.send(get(new URL(`http://server.example:${url.port}/`)))), 'here');
});

test('a name without an address, and one that cannot be looked up, are unreachable', async (t) => {
  const named = new URL('http://server.example/');
  await assert.rejects(client(t, { resolve: resolver([]).resolve }).send(get(named)), unavailable('UPSTREAM_UNREACHABLE', /name has no address/));
  const failing: readonly [unknown, RegExp][] = [
    [Object.assign(new Error('getaddrinfo ENOTFOUND server.example'), { code: 'ENOTFOUND' }), /name has no address/],
    [Object.assign(new Error('getaddrinfo EAI_AGAIN server.example'), { code: 'EAI_AGAIN' }), /cannot be looked up now/],
    [new Error('secret'), /failed \(UNKNOWN\)/],
    [Object.assign(new Error('secret'), { code: 'secret' }), /failed \(UNKNOWN\)/],
    ['secret', /failed \(UNKNOWN\)/],
  ];
  for (const [error, message] of failing) {
    const resolve: Resolve = () => {
      // A resolver of a caller may do this.
      throw error;
    };
    await assert.rejects(client(t, { resolve }).send(get(named)), unavailable('UPSTREAM_UNREACHABLE', message));
  }
});

test('names are looked up as the system does where nothing else is said', async (t) => {
  const url = await serve(t, (_request, response) => response.end('found'));
  assert.equal(await text(await client(t).send(get(new URL(`http://localhost:${url.port}/`)))), 'found');
});

// TLS.

async function serveTls(t: TestContext, certificate: { key: string; cert: string }, listener: RequestListener): Promise<number> {
  return listen(t, createTlsServer(certificate, listener));
}

test('a certificate of the given authority that names the host is accepted', async (t) => {
  const certificate = makeCertificate('server.example');
  const seen: (string | undefined)[] = [];
  const port = await serveTls(t, certificate, (request, response) => {
    seen.push('servername' in request.socket ? String(request.socket.servername) : undefined);
    response.end('private');
  });
  const http = client(t, { ca: certificate.cert, resolve: resolver(['127.0.0.1']).resolve });
  assert.equal(await text(await http.send(get(new URL(`https://server.example:${port}/`)))), 'private');
  assert.deepEqual(seen, ['server.example']);
});

test('another certificate is not: unknown authority, other name, out of date', async (t) => {
  const good = makeCertificate('server.example');
  const other = makeCertificate('other.example');
  const old = makeCertificate('server.example', { from: -3, to: -2 });
  const early = makeCertificate('server.example', { from: 2, to: 3 });
  const cases: readonly [{ key: string; cert: string }, string | undefined, RegExp][] = [
    [good, undefined, /not from a known authority/],
    [good, other.cert, /not from a known authority/],
    [other, other.cert, /names another host/],
    [old, old.cert, /has expired/],
    [early, early.cert, /not valid yet/],
  ];
  for (const [certificate, ca, message] of cases) {
    let requests = 0;
    const port = await serveTls(t, certificate, (_request, response) => {
      requests += 1;
      response.end();
    });
    const http = client(t, { ...(ca === undefined ? {} : { ca }), resolve: resolver(['127.0.0.1']).resolve });
    await assert.rejects(http.send(get(new URL(`https://server.example:${port}/`))), unavailable('UPSTREAM_UNREACHABLE', message));
    assert.equal(requests, 0);
  }
});

test('the environment cannot switch the check of certificates off', async (t) => {
  const port = await serveTls(t, makeCertificate('server.example'), (_request, response) => response.end());
  t.after(() => {
    delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  });
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  const http = client(t, { resolve: resolver(['127.0.0.1']).resolve });
  await assert.rejects(http.send(get(new URL(`https://server.example:${port}/`))), unavailable('UPSTREAM_UNREACHABLE', /not from a known authority/));
});

test('https to a server that speaks http is unreachable', async (t) => {
  const url = await serve(t, (_request, response) => response.end());
  await assert.rejects(client(t).send(get(new URL(`https://127.0.0.1:${url.port}/`))), unavailable('UPSTREAM_UNREACHABLE', /TLS/));
});
