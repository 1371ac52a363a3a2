// SPDX-License-Identifier: Apache-2.0
/**
 * What pins mean for a message: prompts and resource templates are served from what the gateway listed and judged itself;
 * instructions and `ui://` resources are judged in the answers that carry them.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject, withMember, withoutMembers } from '../../shared/json/value.ts';
import { ROUTE_LENGTH_MAX, TOOL_NAME_LENGTH_MAX } from '../../shared/limits.ts';
import type { ClientContext, RequestMessage } from '../exchange/context.ts';
import type { Pending } from '../exchange/conversation.ts';
import { judgeList, listingRefusal } from '../exchange/listing.ts';
import type { Forward, Refuse, Verdict } from '../exchange/verdict.ts';
import { marked, refuse } from '../exchange/verdict.ts';
import type { Catalog } from './catalog.ts';
import { INSTRUCTIONS, isUiUri, itemLabel } from './item.ts';
import type { Item, JudgedItem } from './judge.ts';
import { isBlocked } from './judge.ts';

function changedWords({ change }: JudgedItem): string {
  return change === 'drift' ? 'changed since it was pinned' : 'is not pinned yet';
}

/** Why an item is kept from clients; null if it is not. */
export function pinRefusal(item: JudgedItem): Refuse | null {
  if (!isBlocked(item)) return null;
  const code = item.code ?? 'ITEM_PIN_DRIFT';
  if (code === 'TOOL_HEADER_INVALID') return refuse(code, `${item.label} has an x-mcp-header that no client may follow`, "the server's vendor can mend it");
  if (item.rejected) return refuse(code, `${item.label} ${changedWords(item)}, and was rejected`, 'the one who rejected it knows why');
  const held = item.decision === 'hold' ? '; it waits for someone to accept it' : '';
  const hint = item.change === 'drift' ? 'someone has to review what changed and accept it (mcp-bastion pins diff)' : 'someone has to review it and accept it (mcp-bastion pins diff)';
  return refuse(code, `${item.label} ${changedWords(item)}${held}`, hint);
}

/** A message that moves on although what it is about changed. */
function markedBy(item: JudgedItem | undefined, verdict: Forward): Forward {
  if (item === undefined || item.decision !== 'alert') return verdict;
  return marked(verdict, item.code ?? 'ITEM_PIN_DRIFT', `${item.label} ${changedWords(item)}`);
}

/** A request for a listed item: only for one of the judged listing, and not for one that is kept from clients. */
async function judgeListed(catalog: Catalog, name: JsonValue | undefined, what: 'prompt' | 'template', verdict: Forward): Promise<Verdict> {
  const max = what === 'prompt' ? TOOL_NAME_LENGTH_MAX : ROUTE_LENGTH_MAX;
  if (typeof name !== 'string' || name === '' || name.length > max) return refuse('PARAMS_INVALID', `the request names no ${what}`, `send one from the server's listing`);
  const listing = await catalog.current();
  if (listing.kind !== 'listed') return listingRefusal(listing);
  const item = listing.items.get(name);
  if (item === undefined) return refuse('PARAMS_INVALID', `${itemLabel(what, name)} is not in the server's listing`, `list what there is and use a name from there`);
  return pinRefusal(item) ?? markedBy(item, verdict);
}

/** Judges what a client asks of what is pinned, once the policy lets it pass. */
export async function judgePinned(context: ClientContext, message: RequestMessage, verdict: Forward): Promise<Verdict> {
  const { parts, prompts, templates } = context;
  if (!parts.policy.pinning.enabled) return verdict;
  const { params } = message;
  switch (message.method) {
    case 'prompts/list':
      return judgeList(context, message, prompts);
    case 'resources/templates/list':
      return judgeList(context, message, templates);
    case 'prompts/get':
      return judgeListed(prompts, params?.['name'], 'prompt', verdict);
    case 'completion/complete':
      return judgeCompletion(context, params?.['ref'], verdict);
    default:
      return verdict;
  }
}

/** A completion is text of the server's about a prompt or a template. */
async function judgeCompletion({ prompts, templates }: ClientContext, ref: JsonValue | undefined, verdict: Forward): Promise<Verdict> {
  if (!isJsonObject(ref)) return verdict;
  if (ref['type'] === 'ref/prompt') return judgeListed(prompts, ref['name'], 'prompt', verdict);
  // It may name a plain resource too, which is in no listing of templates.
  if (ref['type'] !== 'ref/resource' || typeof ref['uri'] !== 'string' || !ref['uri'].includes('{')) return verdict;
  return judgeListed(templates, ref['uri'], 'template', verdict);
}

/** True for answers that carry something pinned. */
export function carriesPinned(context: ClientContext, pending: Pending): boolean {
  const { method } = pending;
  const carries = method === 'initialize' || method === 'server/discover' || method === 'resources/read' || method === 'resources/list';
  return carries && context.parts.policy.pinning.enabled;
}

/** Judges an answer of the server's by what is pinned of it. */
export async function judgePinnedAnswer(context: ClientContext, pending: Pending, verdict: Forward): Promise<Verdict> {
  const result = verdict.value['result'];
  if (!isJsonObject(result)) return verdict;
  switch (pending.method) {
    case 'resources/read':
      return judgeContents(context, pending, verdict, result);
    case 'resources/list':
      return judgeResources(context, verdict, result);
    default:
      return judgeInstructions(context, verdict, result);
  }
}

/** A handshake is filtered, never denied: a denial there makes clients fall back to an older revision. */
async function judgeInstructions({ parts, review }: ClientContext, verdict: Forward, result: JsonObject): Promise<Verdict> {
  const { instructions } = result;
  if (instructions === undefined || instructions === null || instructions === '') return verdict;
  const judged = await review.answer([{ kind: 'instructions', name: INSTRUCTIONS, value: jsonObject({ instructions }) }]);
  const without = (): Forward => ({ ...verdict, value: withMember(verdict.value, 'result', withoutMembers(result, 'instructions')) });
  if (judged.kind === 'failed') {
    parts.log.warn(judged.code, `the instructions of ${parts.server} are left out: ${judged.message}`, null);
    return marked(without(), judged.code, 'its instructions cannot be judged and are left out');
  }
  const [item] = judged.items;
  if (item === undefined || !isBlocked(item)) return markedBy(item, verdict);
  return marked(without(), item.code ?? 'ITEM_PIN_DRIFT', `${item.label} ${changedWords(item)} and are left out`);
}

/** Hosts render it whatever the answer says of its own address. */
function isActive(content: JsonValue): boolean {
  if (!isJsonObject(content)) return false;
  const { uri, mimeType } = content;
  return isUiUri(uri) || (typeof mimeType === 'string' && /profile\s*=\s*"?mcp-app/i.test(mimeType));
}

async function judgeContents({ review }: ClientContext, pending: Pending, verdict: Forward, result: JsonObject): Promise<Verdict> {
  const { contents } = result;
  const { resource } = pending;
  if (contents === undefined) return verdict;
  const active = isUiUri(resource) || (Array.isArray(contents) && contents.some(isActive));
  if (!active) return verdict;
  if (resource === undefined || resource.length > ROUTE_LENGTH_MAX) return refuse('PARAMS_INVALID', 'the address of the resource cannot be pinned', `use one of at most ${ROUTE_LENGTH_MAX} characters`);
  const judged = await review.answer([{ kind: 'content', name: resource, value: jsonObject({ contents }) }]);
  if (judged.kind === 'failed') return listingRefusal(judged);
  const [item] = judged.items;
  return (item === undefined ? null : pinRefusal(item)) ?? markedBy(item, verdict);
}

/** Entries of `ui://` resources that are kept from clients are left out of a listing. */
async function judgeResources({ review }: ClientContext, verdict: Forward, result: JsonObject): Promise<Verdict> {
  const { resources } = result;
  if (!Array.isArray(resources)) return verdict;
  const items: Item[] = [];
  for (const value of resources) {
    const uri = isJsonObject(value) ? value['uri'] : undefined;
    if (isJsonObject(value) && isUiUri(uri) && uri.length <= ROUTE_LENGTH_MAX) items.push({ kind: 'resource', name: uri, value });
  }
  if (items.length === 0 && !resources.some(isUiEntry)) return verdict;
  const judged = await review.answer(items);
  if (judged.kind === 'failed') return listingRefusal(judged);
  const open = new Set(judged.items.filter((item) => !isBlocked(item)).map((item) => item.value));
  const shown = resources.filter((value) => !isUiEntry(value) || (isJsonObject(value) && open.has(value)));
  const alert = judged.items.find((item) => item.decision === 'alert');
  if (shown.length === resources.length) return markedBy(alert, verdict);
  // What one client may see says nothing of another's: a shared cache must not keep a filtered list.
  const scoped = 'cacheScope' in result ? withMember(result, 'cacheScope', 'private') : result;
  const filtered: Forward = { ...verdict, value: withMember(verdict.value, 'result', withMember(scoped, 'resources', shown)) };
  const blocked = judged.items.find(isBlocked);
  return blocked === undefined ? markedBy(alert, filtered) : marked(filtered, blocked.code ?? 'ITEM_PIN_DRIFT', `${blocked.label} ${changedWords(blocked)} and is left out`);
}

function isUiEntry(value: JsonValue): boolean {
  return isJsonObject(value) && isUiUri(value['uri']);
}
