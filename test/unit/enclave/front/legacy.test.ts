// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { bindingOf } from '../../../../enclave/front/auth.ts';
import type { Principal } from '../../../../enclave/front/auth.ts';
import { LegacyDesk } from '../../../../enclave/front/legacy.ts';
import type { House, Peer } from '../../../../enclave/peer.ts';
import { SESSION_ROOM_MS_MIN } from '../../../../shared/limits.ts';
import { decodeMessage } from '../../../../shared/jsonrpc/message.ts';
import { FakeResponse } from '../../../harness/responses.ts';

const principal = (name: string): Principal => ({ name, scopes: [], binding: bindingOf('token', [name], []) });

function desk(sessionsMax: number): { desk: LegacyDesk; pass: (ms: number) => void; open: (name: string) => Promise<{ id: string; status: number }> } {
  let now = 0;
  const legacy = new LegacyDesk({
    house: { clock: { now: () => now, mono: () => 0 } } as unknown as House,
    separateStreams: true,
    sessionsMax,
    idleMs: 3_600_000,
    open: ({ toClient }) => {
      const peer = {
        revision: '2025-11-25',
        clientElement: (element: { id: number; value: never }, arrival: { via: object }) =>
          toClient.send('{"jsonrpc":"2.0","id":1,"result":{}}', { kind: 'answer', id: element.id, method: 'initialize', era: 'legacy', value: element.value, via: arrival.via, status: null, headers: null }),
        close: () => Promise.resolve(),
      };
      return Promise.resolve(peer as unknown as Peer);
    },
  });
  const initialize = new TextEncoder().encode('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}');
  return {
    desk: legacy,
    pass: (ms) => (now += ms),
    open: async (name) => {
      const response = new FakeResponse();
      const decoded = decodeMessage(initialize, 'c2s');
      assert.equal(decoded.kind, 'single');
      const refused = await legacy.open({ elements: [decoded.element], batch: false, bytes: 1, at: 0, principal: principal(name), response: response.asResponse });
      return { id: String(response.headers['mcp-session-id']), status: refused?.status ?? response.status };
    },
  };
}

test('sessions that were used lately are not ended for new ones', async () => {
  const { open, pass } = desk(2);
  await open('a');
  await open('a');
  pass(SESSION_ROOM_MS_MIN - 1);
  assert.equal((await open('a')).status, 503);
});

test('the session without use for longest makes room, of the principal with the most', async () => {
  const { desk: legacy, open, pass } = desk(3);
  const lone = await open('b');
  pass(1);
  const first = await open('a');
  pass(1);
  const second = await open('a');
  pass(SESSION_ROOM_MS_MIN);
  const third = await open('a');
  assert.equal(third.status, 200);
  assert.equal(legacy.size, 3);
  assert.equal(legacy.find(first.id, principal('a')), null);
  for (const [{ id }, name] of [[lone, 'b'], [second, 'a'], [third, 'a']] as const) assert.notEqual(legacy.find(id, principal(name)), null);
});

test('a session is found by its own principal only', async () => {
  const { desk: legacy, open } = desk(3);
  const { id } = await open('a');
  assert.equal(legacy.find(id, principal('b')), null);
  assert.equal(legacy.find(id.toUpperCase(), principal('a')), null);
  assert.notEqual(legacy.find(id, principal('a')), null);
});
