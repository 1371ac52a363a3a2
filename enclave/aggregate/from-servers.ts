// SPDX-License-Identifier: Apache-2.0
/**
 * What the servers have for the client, and the client's answers to what they asked. Answers and notifications pass as
 * they are; requests get numbers of their own, because two servers may use the same ids.
 */
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, withMember } from '../../shared/json/value.ts';
import type { NotificationMessage } from '../exchange/context.ts';
import type { About, Outlet } from '../exchange/parts.ts';
import type { AnswerMessage, Arrival } from '../exchange/side.ts';
import type { Refuse } from '../exchange/verdict.ts';
import { refuse } from '../exchange/verdict.ts';
import type { Answers } from './answers.ts';
import { statusOf } from './answers.ts';
import { Claims } from './claims.ts';
import type { ClientRequests } from './client-requests.ts';
import type { Listings } from './listings.ts';
import type { Member } from './member.ts';
import type { Members } from './members.ts';
import { withId, withParam } from './rewrite.ts';
import type { Routing } from './routing.ts';
import { ServerRequests } from './server-requests.ts';

export interface FromServersParts {
  readonly toClient: Outlet;
  readonly requests: ClientRequests;
  readonly members: Members;
  readonly answers: Answers;
  readonly listings: Listings;
  readonly routing: Routing;
}

function unknown(code: 'PROGRESS_UNKNOWN' | 'ID_UNKNOWN', message: string): Refuse {
  return refuse(code, message, 'nothing has to be done');
}

export class FromServers {
  readonly #parts: FromServersParts;
  readonly #requests = new ServerRequests();
  /** Tasks that the client runs for servers (2025-11-25). */
  readonly #clientTasks = new Claims();

  constructor(parts: FromServersParts) {
    this.#parts = parts;
  }

  /** Takes what one server's exchange has for the client. */
  take(member: Member, text: string, about: About): Promise<void> {
    const { toClient, members } = this.#parts;
    switch (about.kind) {
      case 'answer':
        this.#settle(member, about);
        return toClient.send(text, { ...about, status: statusOf(members.era, about.status) });
      case 'request': {
        if (about.id === null) return Promise.resolve();
        const { number, value } = this.#requests.admit(member, about.id, about.value);
        return toClient.send(wireJson(value), { ...about, id: number, value });
      }
      case 'notification':
        return this.#tell(member, text, about);
    }
  }

  /** The request that an answer settles is over, and what it leads to later belongs to the same server. */
  #settle(member: Member, { id, value }: About): void {
    const { requests, listings } = this.#parts;
    const request = id === null ? undefined : requests.get(id);
    if (request === undefined || request.member !== member) return;
    requests.end(request);
    const result = value['result'];
    const { method } = request.message;
    if (!isJsonObject(result) || (method !== 'tools/call' && method !== 'prompts/get')) return;
    listings.resources.learnLinks(member.name, result);
    const taskId = taskIdOf(result);
    if (taskId !== null) listings.tasks.add(member.name, taskId);
  }

  #tell(member: Member, text: string, about: About): Promise<void> {
    const { toClient, routing } = this.#parts;
    if (about.method === 'notifications/resources/list_changed') routing.forgetResources();
    if (about.method !== 'notifications/cancelled') return toClient.send(text, about);
    const params = about.value['params'];
    const found = isJsonObject(params) ? this.#requests.find(member, params['requestId']) : undefined;
    if (found === undefined || !isJsonObject(params)) return Promise.resolve();
    this.#requests.end(found);
    const value = withMember(about.value, 'params', withMember(params, 'requestId', found.number));
    return toClient.send(wireJson(value), { ...about, value });
  }

  /** The client's answer to a request of a server's. */
  async answer(message: AnswerMessage, arrival: Arrival): Promise<void> {
    const found = message.id === null ? undefined : this.#requests.get(message.id);
    if (found !== undefined) {
      this.#requests.end(found);
      const taskId = message.kind === 'result' ? taskIdOf(message.result) : null;
      if (taskId !== null) this.#clientTasks.add(found.member.name, taskId);
      if (await found.member.take(withId(message, found.id), arrival)) return;
    }
    await this.#parts.answers.dropAnswer(message, arrival);
  }

  /** How far the client is with a request of a server's. */
  async progress(message: NotificationMessage, arrival: Arrival): Promise<void> {
    const found = this.#requests.get(message.params?.['progressToken']);
    if (found !== undefined && found.token !== null && (await found.member.take(withParam(message, 'progressToken', found.token), arrival))) return;
    await this.#parts.answers.dropNotification(message, unknown('PROGRESS_UNKNOWN', 'the progress token belongs to no request in flight'), arrival);
  }

  /** How a task of the client's is, which it runs for one of the servers. */
  async taskStatus(message: NotificationMessage, arrival: Arrival): Promise<void> {
    const taskId = message.params?.['taskId'];
    const [owner, another] = typeof taskId === 'string' ? this.#clientTasks.owners(taskId) : [];
    const member = owner === undefined || another !== undefined ? undefined : this.#parts.members.named(owner);
    if (member !== undefined && (await member.take(message, arrival))) return;
    await this.#parts.answers.dropNotification(message, unknown('ID_UNKNOWN', 'no server is known to have that task'), arrival);
  }

  /** Nobody waits for the client's answers any more. */
  forget(member: Member): void {
    this.#requests.forget(member);
  }
}

/** The id of a task that a result began (2025-11-25: in `task`; 2026-07-28: at the top). */
function taskIdOf(result: JsonValue): string | null {
  if (!isJsonObject(result)) return null;
  const { task } = result;
  const id = isJsonObject(task) ? task['taskId'] : result['taskId'];
  return typeof id === 'string' ? id : null;
}
