// SPDX-License-Identifier: Apache-2.0
/**
 * Whose tasks are whose. A server behind the HTTP face sees one credential, whoever calls, and would show one principal
 * the tasks of another: what it answers later is part of the call that started it (2025-11-25, tasks).
 */
import { sha256Hex } from '../../shared/digest.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject, withMember } from '../../shared/json/value.ts';
import { TASK_OWNERS_MAX } from '../../shared/limits.ts';
import type { RequestMessage } from './context.ts';
import type { Pending } from './conversation.ts';
import type { ExchangeParts } from './parts.ts';
import type { Refuse } from './verdict.ts';
import { refuse } from './verdict.ts';

function keyOf(server: string, taskId: string): string {
  return sha256Hex(`${server}\n${taskId}`);
}

export class TaskOwners {
  readonly #owners = new Map<string, string>();

  /** The first principal whose call started a task keeps it: a server cannot hand it to another. */
  add(server: string, taskId: string, principal: string): void {
    const key = keyOf(server, taskId);
    if (this.#owners.has(key)) return;
    this.#owners.set(key, principal);
    const oldest = this.#owners.keys().next();
    if (this.#owners.size > TASK_OWNERS_MAX && oldest.done !== true) this.#owners.delete(oldest.value);
  }

  owns(server: string, taskId: string, principal: string): boolean {
    return this.#owners.get(keyOf(server, taskId)) === principal;
  }
}

/** Without authentication everybody is the one local user, who may come back to a task after a restart. */
const SOLE_PRINCIPAL = 'local';
const named: ReadonlySet<string> = new Set(['tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/update']);

/** Refuses what concerns a task that this principal did not start. */
export function judgeTask(parts: ExchangeParts, message: RequestMessage): Refuse | null {
  if (parts.taskOwners === undefined || parts.principal === SOLE_PRINCIPAL || !named.has(message.method)) return null;
  const taskId = message.params?.['taskId'];
  if (typeof taskId === 'string' && parts.taskOwners.owns(parts.server, taskId, parts.principal)) return null;
  return refuse('PARAMS_INVALID', 'there is no such task', 'use the id of a task that a call of yours started');
}

/** The answer to `tasks/list` without the tasks of others. */
export function ownTasks(parts: ExchangeParts, pending: Pending, value: JsonObject): JsonObject {
  const { taskOwners, principal, server } = parts;
  const result = value['result'];
  if (taskOwners === undefined || principal === SOLE_PRINCIPAL || pending.method !== 'tasks/list' || !isJsonObject(result)) return value;
  const tasks = result['tasks'];
  const own = Array.isArray(tasks) ? tasks.filter((task) => isJsonObject(task) && typeof task['taskId'] === 'string' && taskOwners.owns(server, task['taskId'], principal)) : [];
  return withMember(value, 'result', withMember(result, 'tasks', own));
}
