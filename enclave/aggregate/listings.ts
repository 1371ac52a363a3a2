// SPDX-License-Identifier: Apache-2.0
/**
 * Listings of several servers as one. Each page is asked for at all servers that have one, and what they answer is put
 * together; what is listed tells whose it is, so that later requests find their way.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject, withMember } from '../../shared/json/value.ts';
import { LISTING_MS_MAX, LISTING_PAGES_MAX, SERVER_CURSOR_LENGTH_MAX } from '../../shared/limits.ts';
import { refuse } from '../exchange/verdict.ts';
import type { House } from '../peer.ts';
import type { Answers } from './answers.ts';
import type { Reply } from './ask.ts';
import { Claims } from './claims.ts';
import type { ClientRequest } from './client-requests.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { firstFailure } from './handshake.ts';
import type { Member } from './member.ts';
import type { Members } from './members.ts';
import { ownMeta } from './members.ts';
import type { Page } from './merge.ts';
import { mergePages } from './merge.ts';
import { NameBook } from './names.ts';
import type { Notices } from './notices.ts';
import { ownRequest, withCursor, withoutProgress } from './rewrite.ts';
import { ResourceRoutes } from './routes.ts';

type Named = 'tools' | 'prompts';

/** One kind of listing. */
export interface ListKind {
  readonly method: string;
  /** The member of its results that holds the entries. */
  readonly key: 'tools' | 'prompts' | 'resources' | 'resourceTemplates' | 'tasks';
  readonly capability: string;
}

const kinds: readonly ListKind[] = [
  { method: 'tools/list', key: 'tools', capability: 'tools' },
  { method: 'prompts/list', key: 'prompts', capability: 'prompts' },
  { method: 'resources/list', key: 'resources', capability: 'resources' },
  { method: 'resources/templates/list', key: 'resourceTemplates', capability: 'resources' },
  { method: 'tasks/list', key: 'tasks', capability: 'tasks' },
];

export const listKinds: ReadonlyMap<string, ListKind> = new Map(kinds.map((kind) => [kind.method, kind]));

const METHOD_NOT_FOUND = -32601;

function isUnknownMethod(reply: Reply): boolean {
  return reply.kind === 'error' && reply.error['code'] === METHOD_NOT_FOUND;
}

function reasonOf(reply: Reply): string {
  if (reply.kind === 'failed') return reply.refusal.message;
  return reply.kind === 'error' ? 'it answered with an error' : 'its answer is no listing';
}

export interface ListingsParts {
  readonly house: House;
  readonly members: Members;
  readonly answers: Answers;
  readonly notices: Notices;
}

export class Listings {
  readonly #parts: ListingsParts;
  readonly resources: ResourceRoutes = new ResourceRoutes();
  readonly tasks: Claims = new Claims();
  readonly #books = new Map<string, NameBook>();

  constructor(parts: ListingsParts) {
    this.#parts = parts;
  }

  /** The name that a server itself has for a client's name of it, if a listing told it. */
  ownName(member: Member, kind: Named, name: string): string | undefined {
    return this.#book(member, kind).own(name);
  }

  /** Answers a client's request for one page. */
  async answer(request: ClientRequest, kind: ListKind): Promise<void> {
    const { answers } = this.#parts;
    const asked = await this.#whomToAsk(request, kind);
    if (request.over) return;
    if (asked === null) {
      await answers.refuse(request, refuse('CURSOR_UNKNOWN', 'invalid cursor', 'list again from the first page'));
      return;
    }
    if (asked.size === 0) {
      await this.#refuseAll(request);
      return;
    }
    const options = { client: request.via, msMax: LISTING_MS_MAX, waiting: request.waiting };
    const message = withoutProgress(request.message);
    const replies = await Promise.all([...asked].map(([member, cursor]) => member.ask(withCursor(message, cursor), request.arrival, options)));
    if (!request.over) await this.#merge(request, kind, [...asked], replies);
  }

  /** Each server that has this page, and its own cursor for it; null for a cursor that was never given out. */
  async #whomToAsk(request: ClientRequest, kind: ListKind): Promise<ReadonlyMap<Member, string | null> | null> {
    const { members } = this.#parts;
    const { params } = request.message;
    const cursor = params?.['cursor'];
    if (cursor === undefined) return new Map((await members.serve(kind.capability, params)).map((member) => [member, null]));
    const cursors = typeof cursor === 'string' ? decodeCursor(cursor) : null;
    if (cursors === null) return null;
    const asked = new Map<Member, string>();
    for (const [server, own] of cursors) {
      const member = members.named(server);
      if (member === undefined) return null;
      asked.set(member, own);
    }
    const serving = await members.serving(params, [...asked.keys()]);
    return new Map(serving.map((member) => [member, asked.get(member) ?? null]));
  }

  /** Nobody has it: because nobody offers it, or because nobody is there. */
  #refuseAll(request: ClientRequest): Promise<void> {
    const { members, answers } = this.#parts;
    if (members.all.every((member) => member.offer === null)) {
      const refusal = members.all.find((member) => member.refusal !== null)?.refusal ?? refuse('UPSTREAM_GONE', 'no server is ready', 'initialize first');
      return answers.refuse(request, refusal);
    }
    return answers.refuse(request, refuse('METHOD_UNKNOWN', 'no server offers this', 'use what the servers offer'));
  }

  async #merge(request: ClientRequest, kind: ListKind, asked: readonly (readonly [Member, string | null])[], replies: readonly Reply[]): Promise<void> {
    const { members, answers, house } = this.#parts;
    const pages: Page[] = [];
    const cursors = new Map<string, string>();
    const failures: Reply[] = [];
    for (const [index, [member, cursor]] of asked.entries()) {
      const reply = replies[index] ?? firstFailure([]);
      const page = reply.kind === 'result' ? this.#learn(member, kind, reply.result, cursor === null) : null;
      if (page !== null) {
        pages.push(page);
        const next = this.#nextOf(member, page.result);
        if (next !== null) cursors.set(member.name, next);
        continue;
      }
      if (isUnknownMethod(reply)) continue;
      failures.push(reply);
      house.log.warn('LISTING_FAILED', `${member.name} is left out of an answer to ${kind.method}: ${reasonOf(reply)}`, null);
    }
    if (pages.length === 0) {
      const refused = failures.length > 0 ? failures : replies;
      await answers.pass(request, refused.every((reply) => reply.kind === 'result') ? notListed() : firstFailure(refused));
      return;
    }
    // One that speaks another revision is not missing: it will not be there later either.
    const whole = failures.length === 0 && members.all.every((member) => member.offer !== null || member.refusal?.code === 'UPSTREAM_PROTOCOL');
    await answers.result(request, mergePages(members.era, kind.key, pages, { cursor: encodeCursor(cursors), whole }));
  }

  #nextOf(member: Member, result: JsonObject): string | null {
    const next = result['nextCursor'];
    if (typeof next !== 'string') return null;
    if (next.length <= SERVER_CURSOR_LENGTH_MAX) return next;
    this.#parts.house.log.warn('LISTING_FAILED', `${member.name} has a cursor of more than ${SERVER_CURSOR_LENGTH_MAX} characters; its further pages are left out`, null);
    return null;
  }

  /** What a page tells, and what of it clients are shown; null if it is no page of this kind. */
  #learn(member: Member, kind: ListKind, result: JsonObject, first: boolean): Page | null {
    const items = result[kind.key];
    if (!Array.isArray(items)) return null;
    switch (kind.key) {
      case 'tools':
      case 'prompts':
        return { result, shown: this.#learnNames(member, kind.key, items, first) };
      case 'resources':
        this.resources.learnResources(member.name, items, first);
        break;
      case 'resourceTemplates':
        this.resources.learnTemplates(member.name, items, first);
        break;
      case 'tasks':
        for (const task of items) if (isJsonObject(task) && typeof task['taskId'] === 'string') this.tasks.add(member.name, task['taskId']);
        break;
    }
    return { result, shown: items };
  }

  #learnNames(member: Member, kind: Named, items: readonly JsonValue[], first: boolean): readonly JsonValue[] {
    const { notices } = this.#parts;
    const book = this.#book(member, kind);
    if (first) book.begin();
    return items.flatMap((item) => {
      const own = isJsonObject(item) ? item['name'] : undefined;
      // Nobody can ask for what has no name.
      if (!isJsonObject(item) || typeof own !== 'string') return [];
      if (kind === 'tools') notices.compareTool(member.name, own);
      const name = book.learn(own);
      if (name === null) notices.collision(member.name, own);
      return name === null ? [] : [withMember(item, 'name', name)];
    });
  }

  #book(member: Member, kind: Named): NameBook {
    const key = `${member.name}.${kind}`;
    const book = this.#books.get(key) ?? new NameBook(member.name);
    this.#books.set(key, book);
    return book;
  }

  /** Lists all pages of one server to learn whose they are; nothing of it goes to the client. */
  async drain(member: Member, method: string, params: JsonObject | undefined): Promise<void> {
    const { members, house } = this.#parts;
    const kind = listKinds.get(method);
    if (kind === undefined) throw new RangeError('no such listing');
    const until = house.clock.now() + LISTING_MS_MAX;
    let cursor: string | null = null;
    for (let pages = 0; pages < LISTING_PAGES_MAX; pages += 1) {
      const meta = members.era === 'modern' ? jsonObject({ _meta: ownMeta(params) }) : undefined;
      const ask = withCursor(ownRequest(members.ownId(), method, meta), cursor);
      const reply: Reply = await member.ask(ask, members.ownArrival(), { client: null, msMax: Math.max(0, until - house.clock.now()) });
      const page = reply.kind === 'result' ? this.#learn(member, kind, reply.result, pages === 0) : null;
      cursor = page === null ? null : this.#nextOf(member, page.result);
      if (cursor === null) return;
    }
  }
}

function notListed(): Reply {
  return { kind: 'failed', refusal: refuse('LISTING_FAILED', 'no server answered with a listing', 'see the log of the gateway') };
}
