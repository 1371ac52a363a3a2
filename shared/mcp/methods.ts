// SPDX-License-Identifier: Apache-2.0
/**
 * Which methods each revision defines, by direction (the published schema of each). Names are compared exactly: what only
 * resembles a method is unknown, and unknown methods are not passed on by default.
 */
import type { Direction } from '../audit/row.ts';
import type { Revision } from './revisions.ts';
import { REVISIONS } from './revisions.ts';

export type MethodType = 'request' | 'notification';

export type MethodLookup =
  | { readonly kind: 'known'; readonly type: MethodType }
  /** Defined for this direction, but not at this revision. */
  | { readonly kind: 'other-revision'; readonly type: MethodType }
  /** Defined, but only for the other direction. */
  | { readonly kind: 'wrong-direction'; readonly type: MethodType }
  | { readonly kind: 'unknown' };

const LEGACY = REVISIONS.slice(0, 4);
const FROM_2025_06 = REVISIONS.slice(2, 4);
const ONLY_2025_11 = REVISIONS.slice(3, 4);
const MODERN = REVISIONS.slice(4);

/** Rows of: the revisions, the methods that these define. The type is in the name. */
const CLIENT_TO_SERVER: readonly (readonly [readonly Revision[], readonly string[]])[] = [
  [
    REVISIONS,
    [
      'completion/complete',
      'prompts/get',
      'prompts/list',
      'resources/list',
      'resources/read',
      'resources/templates/list',
      'tools/call',
      'tools/list',
      'notifications/cancelled',
    ],
  ],
  [
    LEGACY,
    [
      'initialize',
      'ping',
      'logging/setLevel',
      'resources/subscribe',
      'resources/unsubscribe',
      'notifications/initialized',
      'notifications/progress',
      'notifications/roots/list_changed',
    ],
  ],
  [ONLY_2025_11, ['tasks/get', 'tasks/result', 'tasks/list', 'tasks/cancel', 'notifications/tasks/status']],
  [MODERN, ['server/discover', 'subscriptions/listen', 'tasks/get', 'tasks/update', 'tasks/cancel']],
];

const SERVER_TO_CLIENT: readonly (readonly [readonly Revision[], readonly string[]])[] = [
  [
    REVISIONS,
    [
      'notifications/cancelled',
      'notifications/message',
      'notifications/progress',
      'notifications/prompts/list_changed',
      'notifications/resources/list_changed',
      'notifications/resources/updated',
      'notifications/tools/list_changed',
    ],
  ],
  [LEGACY, ['ping', 'roots/list', 'sampling/createMessage']],
  [FROM_2025_06, ['elicitation/create']],
  [
    ONLY_2025_11,
    [
      'tasks/get',
      'tasks/result',
      'tasks/list',
      'tasks/cancel',
      'notifications/tasks/status',
      'notifications/elicitation/complete',
    ],
  ],
  [MODERN, ['notifications/subscriptions/acknowledged', 'notifications/tasks']],
];

function index(rows: typeof CLIENT_TO_SERVER): ReadonlyMap<string, ReadonlySet<Revision>> {
  const methods = new Map<string, Set<Revision>>();
  for (const [revisions, names] of rows) {
    for (const name of names) methods.set(name, new Set([...(methods.get(name) ?? []), ...revisions]));
  }
  return methods;
}

const clientToServer = index(CLIENT_TO_SERVER);
const serverToClient = index(SERVER_TO_CLIENT);

/** Looks a method up; with revision null, any revision that defines it counts. */
export function lookupMethod(revision: Revision | null, direction: Direction, method: string): MethodLookup {
  const [here, there] = direction === 'c2s' ? [clientToServer, serverToClient] : [serverToClient, clientToServer];
  const type = method.startsWith('notifications/') ? 'notification' : 'request';
  const revisions = here.get(method);
  if (revisions !== undefined) {
    return { kind: revision === null || revisions.has(revision) ? 'known' : 'other-revision', type };
  }
  return there.has(method) ? { kind: 'wrong-direction', type } : { kind: 'unknown' };
}
