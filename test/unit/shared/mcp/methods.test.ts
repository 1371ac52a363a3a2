// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Direction } from '../../../../shared/audit/row.ts';
import { lookupMethod } from '../../../../shared/mcp/methods.ts';
import type { Revision } from '../../../../shared/mcp/revisions.ts';
import { eraOf, isRevision, REVISIONS } from '../../../../shared/mcp/revisions.ts';

const client13 =
  'initialize ping completion/complete logging/setLevel prompts/get prompts/list resources/list resources/read ' +
  'resources/subscribe resources/unsubscribe resources/templates/list tools/call tools/list';
const clientNotes = 'cancelled initialized progress roots/list_changed';
const serverNotes = 'cancelled message progress prompts/list_changed resources/list_changed resources/updated tools/list_changed';
const tasks = 'tasks/get tasks/result tasks/list tasks/cancel';

/** Every method of the published schemas, row by row: client requests, server requests, client notifications, server notifications. */
const table: Readonly<Record<Revision, readonly [string, string, string, string]>> = {
  '2024-11-05': [client13, 'ping roots/list sampling/createMessage', clientNotes, serverNotes],
  '2025-03-26': [client13, 'ping roots/list sampling/createMessage', clientNotes, serverNotes],
  '2025-06-18': [client13, 'ping roots/list sampling/createMessage elicitation/create', clientNotes, serverNotes],
  '2025-11-25': [
    `${client13} ${tasks}`,
    `ping roots/list sampling/createMessage elicitation/create ${tasks}`,
    `${clientNotes} tasks/status`,
    `${serverNotes} tasks/status elicitation/complete`,
  ],
  '2026-07-28': [
    'server/discover subscriptions/listen completion/complete prompts/get prompts/list resources/list resources/read ' +
      'resources/templates/list tools/call tools/list tasks/get tasks/update tasks/cancel',
    '',
    'cancelled',
    `${serverNotes} subscriptions/acknowledged tasks`,
  ],
};

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');
const notes = (text: string): string[] => words(text).map((word) => `notifications/${word}`);

function defined(revision: Revision, direction: Direction): Set<string> {
  const [clientRequests, serverRequests, clientNotifications, serverNotifications] = table[revision];
  return direction === 'c2s'
    ? new Set([...words(clientRequests), ...notes(clientNotifications)])
    : new Set([...words(serverRequests), ...notes(serverNotifications)]);
}

const everything = new Set(REVISIONS.flatMap((revision) => [...defined(revision, 'c2s'), ...defined(revision, 's2c')]));

for (const direction of ['c2s', 's2c'] as const) {
  const other = direction === 'c2s' ? 's2c' : 'c2s';
  for (const revision of [...REVISIONS, null]) {
    test(`${revision ?? 'before a revision is agreed on'}, ${direction}: exactly the methods of the table are known`, () => {
      const anywhere = new Set(REVISIONS.flatMap((each) => [...defined(each, direction)]));
      for (const method of everything) {
        const here = revision === null ? anywhere.has(method) : defined(revision, direction).has(method);
        const kind = here ? 'known' : anywhere.has(method) ? 'other-revision' : 'wrong-direction';
        const type = method.startsWith('notifications/') ? 'notification' : 'request';
        assert.deepEqual(lookupMethod(revision, direction, method), { kind, type }, method);
      }
      assert.ok(REVISIONS.some((each) => [...defined(each, other)].some((method) => !anywhere.has(method))));
    });
  }
}

test('what only resembles a method is unknown', () => {
  const near = ['Tools/Call', 'TOOLS/CALL', 'tools/call ', ' tools/call', 'tools/call/', 'tool\u017f/call', '\uff54ools/call', 'tools/call\u0000', 'tools//call', 'cancelled', 'notifications/Cancelled', 'notifications/', '', '__proto__', 'constructor', 'toString'];
  for (const method of near) {
    for (const revision of [...REVISIONS, null]) assert.deepEqual(lookupMethod(revision, 'c2s', method), { kind: 'unknown' }, method);
  }
});

test('only exact revisions are known, and only the last one is modern', () => {
  for (const text of ['2024-11-06', '2025-11-25 ', '', 'DRAFT-2026-v1', '2026-07-28\n', 'toString']) assert.equal(isRevision(text), false);
  assert.ok(REVISIONS.every((revision) => isRevision(revision)));
  assert.deepEqual(REVISIONS.map(eraOf), ['legacy', 'legacy', 'legacy', 'legacy', 'modern']);
});
