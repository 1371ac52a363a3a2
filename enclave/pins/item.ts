// SPDX-License-Identifier: Apache-2.0
/** What is pinned of a server (design, section 7), and what each kind is called in listings, rows and messages. */
import type { PinRow } from '../../shared/audit/row.ts';
import { sha256Hex } from '../../shared/digest.ts';
import { toolLabel } from '../../shared/label.ts';
import { ROUTE_LENGTH_MAX } from '../../shared/limits.ts';

/** `resource`: the entry of a `ui://` resource in a listing; `content`: what reading it gives. */
export type PinKind = PinRow['item'] | 'content';

export const PIN_KINDS: readonly PinKind[] = ['instructions', 'tool', 'prompt', 'template', 'resource', 'content'];

/** A server has one of them. */
export const INSTRUCTIONS = 'instructions';

export function isPinKind(text: unknown): text is PinKind {
  return PIN_KINDS.some((kind) => kind === text);
}

/** The kind as rows have it. */
export function rowItem(kind: PinKind): PinRow['item'] {
  return kind === 'content' ? 'resource' : kind;
}

/** A label as logs, errors and rows show an item by: its kind and 8 hex digits of the SHA-256 of its name. */
export function itemLabel(kind: PinKind, name: string): string {
  if (kind === 'tool') return toolLabel(name);
  return kind === 'instructions' ? INSTRUCTIONS : `${kind}#${sha256Hex(name).slice(0, 8)}`;
}

/** A kind of item that the gateway lists by itself. */
export interface ListedKind {
  readonly kind: Extract<PinKind, 'tool' | 'prompt' | 'template'>;
  readonly method: string;
  /** The member of results that holds the items, and the member of an item by which clients ask for it. */
  readonly key: string;
  readonly nameKey: string;
  readonly what: string;
}

export const TOOLS: ListedKind = { kind: 'tool', method: 'tools/list', key: 'tools', nameKey: 'name', what: 'tool' };
export const PROMPTS: ListedKind = { kind: 'prompt', method: 'prompts/list', key: 'prompts', nameKey: 'name', what: 'prompt' };
export const TEMPLATES: ListedKind = { kind: 'template', method: 'resources/templates/list', key: 'resourceTemplates', nameKey: 'uriTemplate', what: 'resource template' };

/** An address as it is remembered while its request is in flight: a longer one than can be pinned stays one. */
export function rememberedUri(uri: string): string {
  return uri.length <= ROUTE_LENGTH_MAX ? uri : uri.replaceAll(SKIPPED, '').replace(LEADING, '').slice(0, ROUTE_LENGTH_MAX + 1);
}

/** What URL parsers skip (WHATWG URL, section 4.4) must not hide a scheme. */
const SKIPPED = /[\t\n\r]/g;
const LEADING = /^[\0-\x20]+/;

/** Servers name their active content by this scheme; schemes have no case (RFC 3986 section 3.1). */
export function isUiUri(uri: unknown): uri is string {
  return typeof uri === 'string' && /^ui:/i.test(uri.replaceAll(SKIPPED, '').replace(LEADING, ''));
}
