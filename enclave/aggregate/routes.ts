// SPDX-License-Identifier: Apache-2.0
/**
 * Which server a resource belongs to. URIs are never renamed: a URI belongs to the server that lists it, else to the one
 * whose template it fits, else to the one whose tools or prompts linked to it. Whatever two servers claim in the same way
 * belongs to neither.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { TEMPLATES_PER_SERVER_MAX } from '../../shared/limits.ts';
import { Claims } from './claims.ts';
import type { Template } from './template.ts';
import { fitsTemplate, readTemplate } from './template.ts';

export class ResourceRoutes {
  readonly #listed = new Claims();
  readonly #linked = new Claims();
  /** By server, then by the template's text. */
  readonly #templates = new Map<string, Map<string, Template>>();

  /** A page of `resources/list`; `first`: the server's listing begins with it. */
  learnResources(server: string, items: readonly JsonValue[], first: boolean): void {
    if (first) this.#listed.begin(server);
    for (const item of items) {
      const uri = isJsonObject(item) ? item['uri'] : undefined;
      if (typeof uri === 'string') this.#listed.add(server, uri);
    }
  }

  /** A page of `resources/templates/list`. */
  learnTemplates(server: string, items: readonly JsonValue[], first: boolean): void {
    const known = first ? new Map<string, Template>() : (this.#templates.get(server) ?? new Map<string, Template>());
    this.#templates.set(server, known);
    for (const item of items) {
      const text = isJsonObject(item) ? item['uriTemplate'] : undefined;
      const template = typeof text === 'string' && known.size < TEMPLATES_PER_SERVER_MAX ? readTemplate(text) : null;
      if (template !== null) known.set(template.text, template);
    }
  }

  /** The links in the result of a tool or prompt: what they lead to need not be listed (2025-06-18, resource links). */
  learnLinks(server: string, result: JsonObject): void {
    const { content, messages } = result;
    const blocks = Array.isArray(content) ? content : Array.isArray(messages) ? messages.map((message) => (isJsonObject(message) ? (message['content'] ?? null) : null)) : [];
    for (const block of blocks) {
      if (isJsonObject(block) && block['type'] === 'resource_link' && typeof block['uri'] === 'string') this.#linked.add(server, block['uri']);
    }
  }

  /** The servers that a URI may belong to: more than one where they claim it alike, none where nobody does. */
  ownersOf(uri: string): readonly string[] {
    const listed = this.#listed.owners(uri);
    if (listed.length > 0) return listed;
    const fitting = [...this.#templates].filter(([, templates]) => [...templates.values()].some((template) => fitsTemplate(template, uri)));
    return fitting.length > 0 ? fitting.map(([server]) => server) : this.#linked.owners(uri);
  }

  /** The same for the reference of a completion, which is a template as it is listed, or a URI. */
  ownersOfReference(text: string): readonly string[] {
    const exact = [...this.#templates].filter(([, templates]) => templates.has(text)).map(([server]) => server);
    return exact.length > 0 ? exact : this.ownersOf(text);
  }
}
