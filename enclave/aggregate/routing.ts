// SPDX-License-Identifier: Apache-2.0
/**
 * Finds the one server that a request is for, and says it in that server's own names. What cannot be told is refused:
 * a guess could send one server's data to another.
 */
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject, withMember } from '../../shared/json/value.ts';
import { toolLabel } from '../../shared/label.ts';
import { AGGREGATE_REST_MS } from '../../shared/limits.ts';
import type { RequestMessage } from '../exchange/context.ts';
import type { Clock } from '../exchange/parts.ts';
import type { Refuse } from '../exchange/verdict.ts';
import { refuse } from '../exchange/verdict.ts';
import type { Listings } from './listings.ts';
import type { Member } from './member.ts';
import type { Members } from './members.ts';
import { splitClientName } from './names.ts';
import type { Notices } from './notices.ts';
import { withParam } from './rewrite.ts';

export type Route = { readonly kind: 'route'; readonly member: Member; readonly message: RequestMessage } | Refuse;

export interface RoutingParts {
  readonly members: Members;
  readonly listings: Listings;
  readonly notices: Notices;
  readonly clock: Clock;
}

type Finder = (routing: Routing, message: RequestMessage) => Promise<Route>;

/** Requests for one server, and how it is found. */
const finders: ReadonlyMap<string, Finder> = new Map<string, Finder>([
  ['tools/call', (routing, message) => routing.byName(message, 'tools')],
  ['prompts/get', (routing, message) => routing.byName(message, 'prompts')],
  ['resources/read', (routing, message) => routing.byUri(message)],
  ['resources/subscribe', (routing, message) => routing.byUri(message)],
  ['resources/unsubscribe', (routing, message) => routing.byUri(message)],
  ['completion/complete', (routing, message) => routing.byReference(message)],
  ['tasks/get', (routing, message) => routing.byTask(message)],
  ['tasks/result', (routing, message) => routing.byTask(message)],
  ['tasks/cancel', (routing, message) => routing.byTask(message)],
  ['tasks/update', (routing, message) => routing.byTask(message)],
]);

/** True for a method that is for one server. */
export function isRouted(method: string): boolean {
  return finders.has(method);
}

function malformed(problem: string): Refuse {
  return refuse('PARAMS_INVALID', problem, 'see the specification of the method');
}

function notListed(name: string, kind: 'tools' | 'prompts'): Refuse {
  const label = toolLabel(splitClientName(name)?.rest ?? name);
  if (kind === 'tools') return refuse('TOOL_NOT_LISTED', `${label} is not in the listing of any server`, 'list the tools and use a name from there');
  return refuse('PARAMS_INVALID', 'no server has a prompt of that name', 'list the prompts and use a name from there');
}

function inName(member: Member, message: RequestMessage, own: string): Route {
  return { kind: 'route', member, message: withParam(message, 'name', own) };
}

export class Routing {
  readonly #parts: RoutingParts;
  #resourcesListed: { readonly at: number; readonly done: Promise<void> } | null = null;

  constructor(parts: RoutingParts) {
    this.#parts = parts;
  }

  find(message: RequestMessage): Promise<Route> {
    const finder = finders.get(message.method);
    if (finder === undefined) throw new RangeError('the method is not for one server');
    return finder(this, message);
  }

  /** The next URI that nobody is known to have is looked for again. */
  forgetResources(): void {
    this.#resourcesListed = null;
  }

  async byName(message: RequestMessage, kind: 'tools' | 'prompts'): Promise<Route> {
    const name = message.params?.['name'];
    if (typeof name !== 'string') return malformed('the request names nothing');
    const found = await this.#ownName(name, kind, message.params);
    return 'own' in found ? inName(found.member, message, found.own) : found;
  }

  /**
   * A name that was not cut says by itself whose it is and what it is there: that server judges it, listed or not. One
   * that may have been cut is looked up in the listing.
   */
  async #ownName(name: string, kind: 'tools' | 'prompts', params: JsonObject | undefined): Promise<{ readonly member: Member; readonly own: string } | Refuse> {
    const { members, listings } = this.#parts;
    const split = splitClientName(name);
    const member = split === null ? undefined : members.named(split.server);
    if (split === null || member === undefined) return notListed(name, kind);
    let own = listings.ownName(member, kind, name);
    if (own === undefined && split.shortened) {
      const refusal = await members.ready(member, params);
      if (refusal !== null) return refusal;
      await listings.drain(member, kind === 'tools' ? 'tools/list' : 'prompts/list', params);
      own = listings.ownName(member, kind, name);
    }
    return { member, own: own ?? split.rest };
  }

  async byUri(message: RequestMessage): Promise<Route> {
    const uri = message.params?.['uri'];
    if (typeof uri !== 'string') return malformed('the request names no resource');
    const member = await this.ownerOf(uri, message.params, (text) => this.#parts.listings.resources.ownersOf(text));
    return 'kind' in member ? member : { kind: 'route', member, message };
  }

  async byReference(message: RequestMessage): Promise<Route> {
    const ref = message.params?.['ref'];
    if (!isJsonObject(ref)) return malformed('the completion refers to nothing');
    const { name, uri } = ref;
    if (ref['type'] === 'ref/prompt' && typeof name === 'string') {
      const found = await this.#ownName(name, 'prompts', message.params);
      if (!('own' in found)) return found;
      return { kind: 'route', member: found.member, message: withParam(message, 'ref', withMember(ref, 'name', found.own)) };
    }
    if (ref['type'] !== 'ref/resource' || typeof uri !== 'string') return malformed('the completion refers to nothing that is known here');
    const member = await this.ownerOf(uri, message.params, (text) => this.#parts.listings.resources.ownersOfReference(text));
    return 'kind' in member ? member : { kind: 'route', member, message };
  }

  byTask(message: RequestMessage): Promise<Route> {
    const { members, listings } = this.#parts;
    const taskId = message.params?.['taskId'];
    if (typeof taskId !== 'string') return Promise.resolve(malformed('the request names no task'));
    const [owner, another] = listings.tasks.owners(taskId);
    const member = owner === undefined || another !== undefined ? undefined : members.named(owner);
    if (member !== undefined) return Promise.resolve({ kind: 'route', member, message });
    const problem = another === undefined ? 'no server is known to have that task' : 'two servers have a task of that id';
    return Promise.resolve(refuse('PARAMS_INVALID', problem, 'use the path of the server that was asked to do it'));
  }

  /** The server that a resource belongs to. */
  async ownerOf(uri: string, params: JsonObject | undefined, ownersOf: (uri: string) => readonly string[]): Promise<Member | Refuse> {
    const { members, notices } = this.#parts;
    let owners = ownersOf(uri);
    if (owners.length === 0) {
      const offering = await members.serve('resources', params);
      const [only, second] = offering;
      if (only !== undefined && second === undefined) return only;
      await this.#listResources(offering, params);
      owners = ownersOf(uri);
    }
    const [owner, another] = owners;
    if (another !== undefined) {
      notices.sharedResource(owners);
      return refuse('PARAMS_INVALID', `${owners.join(' and ')} offer the same resource`, `read it at the path of one of them alone: ${owners.join(' or ')}`);
    }
    const member = owner === undefined ? undefined : members.named(owner);
    return member ?? refuse('PARAMS_INVALID', 'no server lists that resource', 'list the resources and their templates, and use a URI from there');
  }

  /** Asks all of them once in a while: URIs that nobody has must not cost a listing each. */
  #listResources(offering: readonly Member[], params: JsonObject | undefined): Promise<void> {
    const now = this.#parts.clock.now();
    const last = this.#resourcesListed;
    if (last !== null && now - last.at < AGGREGATE_REST_MS) return last.done;
    const done = Promise.all(
      offering.flatMap((member) => ['resources/list', 'resources/templates/list'].map((method) => this.#parts.listings.drain(member, method, params))),
    ).then(() => undefined);
    this.#resourcesListed = { at: now, done };
    return done;
  }
}
