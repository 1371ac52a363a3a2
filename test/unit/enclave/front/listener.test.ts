// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import http from 'node:http';
import type { Server, ServerOptions } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { PassThrough } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import test, { mock } from 'node:test';
import { BodyReader } from '../../../../enclave/front/body.ts';
import type { Door } from '../../../../enclave/front/door.ts';
import { REQUEST_BODY_MS_MAX, REQUEST_HEADER_BYTES_MAX, REQUEST_HEADERS_MS_MAX } from '../../../../shared/limits.ts';

test('the listener bounds headers, time and connections', async () => {
  const seen: { options: ServerOptions; server: Server }[] = [];
  const real = http.createServer;
  mock.method(http, 'createServer', (options: ServerOptions, listener: () => void) => {
    const server = real(options, listener);
    seen.push({ options, server });
    return server;
  });
  syncBuiltinESMExports();
  const { listen } = await import('../../../../enclave/front/listener.ts');
  const door = { enter: () => Promise.resolve() } as unknown as Door;
  const listener = await listen({ host: '127.0.0.1', port: 0, connectionsMax: 17 }, door);
  const [made] = seen;
  assert.ok(made !== undefined);
  assert.equal(made.options.maxHeaderSize, REQUEST_HEADER_BYTES_MAX);
  assert.equal(made.options.headersTimeout, REQUEST_HEADERS_MS_MAX);
  assert.equal(made.options.requestTimeout, REQUEST_HEADERS_MS_MAX + REQUEST_BODY_MS_MAX);
  assert.ok(Number(made.options.connectionsCheckingInterval) <= REQUEST_HEADERS_MS_MAX, 'time is looked at often enough');
  assert.equal(made.options.insecureHTTPParser, false);
  assert.equal(made.server.maxConnections, 17);
  await assert.rejects(listen({ host: '127.0.0.1', port: listener.port, connectionsMax: 1 }, door), { name: 'Unavailable', code: 'LISTEN_FAILED' });
  await listener.close();
  mock.restoreAll();
  syncBuiltinESMExports();
});

class FakeRequest extends PassThrough {
  complete = false;

  get asRequest(): IncomingMessage {
    return this as unknown as IncomingMessage;
  }
}

test('a body that comes too slowly ends its connection', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const request = new FakeRequest();
  const read = new BodyReader().read(request.asRequest);
  request.write('{');
  mock.timers.tick(REQUEST_BODY_MS_MAX - 1);
  assert.equal(request.destroyed, false);
  mock.timers.tick(1);
  assert.equal(request.destroyed, true);
  assert.equal(await read, null);
});
