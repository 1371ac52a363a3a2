// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControlRequest, ControlResponse } from '../../../enclave/control/api.ts';
import { createControl } from '../../../enclave/control/api.ts';
import { parseTicket } from '../../../shared/approval/ticket.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { CONTROL_WATCHERS_MAX } from '../../../shared/limits.ts';
import { alice, attemptOf, call, carol, mallory, never, settled, TestDesk } from '../../harness/approval-desk.ts';
import type { Signer } from '../../harness/approval-desk.ts';

const SCHEMA = 'mcp-bastion/control/1';
const status = { version: '1.2.3', name: 'files', policy: 'a'.repeat(64), log: '/var/log', origin: 'local/files/0', pid: 77, started: 5 };

class World extends TestDesk {
  #pending: { at: number; act: () => void }[] = [];
  readonly control = createControl({
    desk: this.desk,
    status: () => status,
    after: (ms, act) => {
      const timer = { at: ms, act };
      this.#pending.push(timer);
      return () => (this.#pending = this.#pending.filter((other) => other !== timer));
    },
  });

  get waiting(): number {
    return this.#pending.length;
  }

  timeIsOver(): void {
    for (const { act } of this.#pending) act();
  }

  ask(method: string, target: string, changes: Partial<ControlRequest> = {}): Promise<ControlResponse> {
    return this.control({ method, target, mediaType: null, body: new Uint8Array(), signal: never, ...changes });
  }

  async held(): Promise<{ id: string; canonical: Uint8Array }> {
    await this.desk.hold(call({ open: false }), never);
    return this.only();
  }
}

function decision(who: Signer, canonical: Uint8Array, word: 'approve' | 'deny' = 'approve'): Partial<ControlRequest> {
  const { approver, decision, reason, signature } = attemptOf(who, canonical, word);
  const text = JSON.stringify({ approver, decision, reason, signature: Buffer.from(signature).toString('base64') });
  return { mediaType: 'application/json', body: new TextEncoder().encode(text) };
}

const codeOf = ({ status, body }: ControlResponse): [number, unknown] => [status, JSON.parse(JSON.stringify(body)).error?.code];

test('the status says what runs here', async () => {
  const world = new World();
  await world.held();
  const answer = await world.ask('GET', '/control/status');
  assert.equal(answer.status, 200);
  assert.equal(JSON.stringify(answer.body), JSON.stringify({ schema: SCHEMA, ...status, pending: 1 }));
});

test('the list has a summary of each ticket, without its arguments', async () => {
  const world = new World();
  const { id } = await world.held();
  const answer = await world.ask('GET', '/control/approvals');
  const expected = {
    id, state: 'pending', server: 'files', tool: 'delete_tree', label: world.rows[0]?.tool, principal: 'token:ci', rule: 'require_approval[0]',
    approvals: 1, approvers: ['alice', 'bob'], given: [], denied_by: null, created: 1_700_000_000_000, expires: 1_700_000_900_000,
  };
  assert.equal(JSON.stringify(answer.body), JSON.stringify({ schema: SCHEMA, version: 1, approvals: [expected] }));
});

test('one ticket is given with the bytes to sign', async () => {
  const world = new World();
  const { id, canonical } = await world.held();
  const { status, body } = await world.ask('GET', `/control/approvals/${id}`);
  assert.equal(status, 200);
  assert.equal(body['canonical'], Buffer.from(canonical).toString('base64'));
  const parsed = parseTicket(canonical);
  assert(parsed.ok);
  assert.equal(JSON.stringify(body['ticket']), JSON.stringify(parsed.ticket));
});

test('a signed decision is taken', async () => {
  const world = new World();
  const { id, canonical } = await world.held();
  const answer = await world.ask('POST', `/control/approvals/${id}`, decision(alice, canonical));
  assert.equal(JSON.stringify(answer), JSON.stringify({ status: 200, body: { schema: SCHEMA, id, state: 'approved', given: 1, needed: 1 } }));
  const denied = await world.ask('POST', `/control/approvals/${id}`, decision(alice, canonical, 'deny'));
  assert.equal(denied.body['state'], 'denied');
});

test('what is refused has a stable code, a status and a hint', async () => {
  const world = new World();
  const { id, canonical } = await world.held();
  const at = `/control/approvals/${id}`;
  assert.deepEqual(codeOf(await world.ask('POST', at, decision(mallory, canonical))), [403, 'APPROVER_UNKNOWN']);
  assert.deepEqual(codeOf(await world.ask('POST', at, decision(carol, canonical))), [403, 'APPROVER_NOT_ALLOWED']);
  assert.deepEqual(codeOf(await world.ask('POST', at, decision(alice, canonical.slice(1)))), [403, 'SIGNATURE_INVALID']);
  assert.deepEqual(codeOf(await world.ask('POST', `/control/approvals/${'0'.repeat(64)}`, decision(alice, canonical))), [404, 'TICKET_UNKNOWN']);
  await world.ask('POST', at, decision(alice, canonical));
  assert.deepEqual(codeOf(await world.ask('POST', at, decision(alice, canonical))), [409, 'APPROVER_REPEATED']);
  await world.ask('POST', at, decision(alice, canonical, 'deny'));
  const closed = await world.ask('POST', at, decision(alice, canonical));
  assert.equal(JSON.stringify(closed.body['error']), JSON.stringify({ code: 'TICKET_CLOSED', message: 'the ticket is decided, used or void', hint: 'nothing is left to decide' }));
  assert.deepEqual(world.changes, ['held', 'refused APPROVER_UNKNOWN', 'refused APPROVER_NOT_ALLOWED', 'refused SIGNATURE_INVALID', 'refused TICKET_UNKNOWN', 'approved', 'refused APPROVER_REPEATED', 'denied', 'refused TICKET_CLOSED']);
});

const at = `/control/approvals/${'0'.repeat(64)}`;
const malformed: readonly [string, string, Partial<ControlRequest>, number, string][] = [
  ['GET', '/control', {}, 404, 'PATH_UNKNOWN'],
  ['GET', '/', {}, 404, 'PATH_UNKNOWN'],
  ['GET', '/control/approvals/', {}, 404, 'PATH_UNKNOWN'],
  ['GET', '/control/approvals/0123456', {}, 404, 'PATH_UNKNOWN'],
  ['GET', `/control/approvals/${'A'.repeat(64)}`, {}, 404, 'PATH_UNKNOWN'],
  ['GET', `/control/approvals/../approvals/${'0'.repeat(64)}`, {}, 404, 'PATH_UNKNOWN'],
  ['GET', '/control/approvals%2f', {}, 404, 'PATH_UNKNOWN'],
  ['GET', '/control//status', {}, 404, 'PATH_UNKNOWN'],
  ['GET', '/mcp', {}, 404, 'PATH_UNKNOWN'],
  ['GET', at, {}, 404, 'TICKET_UNKNOWN'],
  ['GET', '/control/status?x', {}, 400, 'PARAMS_INVALID'],
  ['GET', `${at}?x`, {}, 400, 'PARAMS_INVALID'],
  ['GET', '/control/approvals?', {}, 400, 'PARAMS_INVALID'],
  ['GET', '/control/approvals?watch=-1', {}, 400, 'PARAMS_INVALID'],
  ['GET', '/control/approvals?watch=1&x', {}, 400, 'PARAMS_INVALID'],
  ['GET', '/control/approvals?watch=9999999999999999', {}, 400, 'PARAMS_INVALID'],
  ['POST', '/control/approvals', {}, 405, 'METHOD_NOT_ALLOWED'],
  ['POST', '/control/status', {}, 405, 'METHOD_NOT_ALLOWED'],
  ['PUT', at, {}, 405, 'METHOD_NOT_ALLOWED'],
  ['DELETE', at, {}, 405, 'METHOD_NOT_ALLOWED'],
  ['POST', at, {}, 415, 'MEDIA_TYPE'],
  ['POST', at, { mediaType: 'text/plain' }, 415, 'MEDIA_TYPE'],
  ['POST', at, { mediaType: 'application/jsonp' }, 415, 'MEDIA_TYPE'],
  ['POST', at, { mediaType: 'application/json' }, 400, 'PARAMS_INVALID'],
  ['POST', at, { mediaType: 'application/json; charset=utf-8', body: new TextEncoder().encode('{"approve":true}') }, 400, 'PARAMS_INVALID'],
];

for (const [method, target, changes, code, name] of malformed) {
  test(`${method} ${target.slice(0, 60)} with ${JSON.stringify(changes.mediaType ?? null)} is refused as ${name}`, async () => {
    const world = new World();
    assert.deepEqual(codeOf(await world.ask(method, target, changes)), [code, name]);
    assert.deepEqual(world.rows, []);
  });
}

test('who watches is answered at once where the version is another, and else when something changes', async () => {
  const world = new World();
  assert.equal((await world.ask('GET', '/control/approvals?watch=7')).body['version'], 0);
  let answer: ControlResponse | null = null;
  const watching = world.ask('GET', '/control/approvals?watch=0').then((given) => (answer = given));
  const next = world.ask('GET', '/control/approvals?watch');
  await settled();
  assert.equal(answer, null);
  await world.held();
  assert.equal((await watching).body['version'], 1);
  assert.equal((await next).body['version'], 1);
  assert.equal(world.waiting, 0);
});

test('watching ends after a while, and when the client leaves', async () => {
  const world = new World();
  const leave = new AbortController();
  const watching = world.ask('GET', '/control/approvals?watch=0');
  const left = world.ask('GET', '/control/approvals?watch=0', { signal: leave.signal });
  const gone = world.ask('GET', '/control/approvals?watch=0', { signal: AbortSignal.abort() });
  await gone;
  leave.abort();
  await left;
  assert.equal(world.waiting, 1);
  world.timeIsOver();
  assert.equal((await watching).body['version'], 0);
  assert.equal(world.waiting, 0);
});

test('only so many watch at once', async () => {
  const world = new World();
  const watching = Array.from({ length: CONTROL_WATCHERS_MAX }, () => world.ask('GET', '/control/approvals?watch=0'));
  assert.deepEqual(codeOf(await world.ask('GET', '/control/approvals?watch=0')), [503, 'CAPACITY']);
  assert.equal((await world.ask('GET', '/control/approvals')).status, 200);
  world.timeIsOver();
  await Promise.all(watching);
  const again = world.ask('GET', '/control/approvals?watch=0');
  world.timeIsOver();
  assert.equal((await again).status, 200);
});

test('a decision that cannot be recorded is answered as such', async () => {
  const world = new World();
  const { id, canonical } = await world.held();
  world.write = () => Promise.reject(new Unavailable('AUDIT_UNAVAILABLE', 'the log is full', 'make room'));
  assert.deepEqual(codeOf(await world.ask('POST', `/control/approvals/${id}`, decision(alice, canonical))), [503, 'AUDIT_UNAVAILABLE']);
  assert.equal(world.desk.pending, 1);
});
