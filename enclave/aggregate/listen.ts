// SPDX-License-Identifier: Apache-2.0
/** Which servers a `subscriptions/listen` (2026-07-28) is for, and what of it is for each. */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, withMember } from '../../shared/json/value.ts';
import type { RequestMessage } from '../exchange/context.ts';
import type { Outlet } from '../exchange/parts.ts';
import type { Answers } from './answers.ts';
import type { ClientRequest } from './client-requests.ts';
import type { FromServers } from './from-servers.ts';
import { firstFailure } from './handshake.ts';
import type { Listings } from './listings.ts';
import { Member } from './member.ts';
import type { Members } from './members.ts';
import { withParam } from './rewrite.ts';
import type { Routing } from './routing.ts';
import { Subscription } from './subscription.ts';

export interface ListenParts {
  readonly members: Members;
  readonly answers: Answers;
  readonly listings: Listings;
  readonly routing: Routing;
  readonly fromServers: FromServers;
  readonly toClient: Outlet;
  readonly fault: (error: unknown) => void;
}

/** The members of a filter that name things of single servers. */
const NAMED_THINGS = ['resourceSubscriptions', 'taskIds'] as const;

/** Whose a thing is that a filter names. */
export type OwnersOf = (member: (typeof NAMED_THINGS)[number], name: string) => readonly string[];

/** The filter as it is for one server: without what others have. */
export function filterFor(server: string, filter: JsonObject, ownersOf: OwnersOf): JsonObject {
  let own = filter;
  for (const key of NAMED_THINGS) {
    const names = filter[key];
    if (Array.isArray(names)) own = withMember(own, key, names.filter((name) => typeof name === 'string' && ownersOf(key, name).join() === server));
  }
  return own;
}

/** True if a filter asks for anything at all. */
function asks(filter: JsonObject): boolean {
  return Object.values(filter).some((value) => (Array.isArray(value) ? value.length > 0 : value !== false));
}

/** The request of each server that is asked for anything; of all of them where none is. */
function partsOf(message: RequestMessage, members: readonly Member[], ownersOf: OwnersOf): ReadonlyMap<Member, RequestMessage> {
  const filter = message.params?.['notifications'];
  if (!isJsonObject(filter)) return new Map(members.map((member) => [member, message]));
  const own = members.map((member) => [member, filterFor(member.name, filter, ownersOf)] as const);
  const asked = own.filter(([, part]) => asks(part));
  return new Map((asked.length > 0 ? asked : own).map(([member, part]) => [member, withParam(message, 'notifications', part)]));
}

/** The one server of each resource that the client wants to hear of. */
async function subscribedOwners({ routing, listings }: ListenParts, message: RequestMessage): Promise<ReadonlyMap<string, readonly string[]>> {
  const owners = new Map<string, readonly string[]>();
  const filter = message.params?.['notifications'];
  const uris: JsonValue | undefined = isJsonObject(filter) ? filter['resourceSubscriptions'] : undefined;
  for (const uri of Array.isArray(uris) ? uris : []) {
    if (typeof uri !== 'string') continue;
    const member = await routing.ownerOf(uri, message.params, (text) => listings.resources.ownersOf(text));
    if (member instanceof Member) owners.set(uri, [member.name]);
  }
  return owners;
}

/** Subscribes at the servers; resolves before the subscription has ended. */
export async function listen(parts: ListenParts, request: ClientRequest): Promise<void> {
  const { members, answers, listings, fromServers, toClient, fault } = parts;
  const { message } = request;
  const serving = await members.serving(message.params);
  const owners = await subscribedOwners(parts, message);
  if (request.over) return;
  if (serving.length === 0) return answers.pass(request, firstFailure([]));
  const asked = partsOf(message, serving, (member, name) => (member === 'taskIds' ? listings.tasks.owners(name) : (owners.get(name) ?? [])));
  const subscription = new Subscription({ request, answers, toClient, fault, pass: (member, text, about) => fromServers.take(member, text, about) });
  subscription.run(asked).catch(fault);
}
