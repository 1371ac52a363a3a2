// SPDX-License-Identifier: Apache-2.0
/**
 * Warnings about several servers together. Each is said once in the life of a process, however many clients meet it.
 * Names stand in them by label only.
 */
import { toolLabel } from '../../shared/label.ts';
import { AGGREGATE_NOTICES_MAX, LOOKALIKE_NAMES_MAX, TOOL_NAME_LENGTH_MAX } from '../../shared/limits.ts';
import { detachedText } from '../exchange/conversation.ts';
import type { Log } from '../log.ts';
import { formsOf } from '../policy/names.ts';

export class Notices {
  readonly #log: Log;
  readonly #said = new Set<string>();
  /** Servers and labels of tools, by each form that a lenient reader may take a name for. */
  readonly #forms = new Map<string, Map<string, string>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Two servers list a tool of the same name, or of one that passes for it: a model may call one and mean the other. */
  compareTool(server: string, own: string): void {
    // Nobody can call what has a longer name.
    if (own.length > TOOL_NAME_LENGTH_MAX) return;
    const label = toolLabel(own);
    for (const form of formsOf(own)) {
      const holders = this.#forms.get(form) ?? new Map<string, string>();
      for (const [other, otherLabel] of holders) {
        if (other === server) continue;
        const [first, second] = [`${other} ${otherLabel}`, `${server} ${label}`].sort();
        this.#warn(`${first} and ${second} have the same or confusable names`, 'if one of the two servers is not trusted, deny its tool');
      }
      if (holders.size === 0 && this.#forms.size >= LOOKALIKE_NAMES_MAX) continue;
      holders.set(server, label);
      this.#forms.set(detachedText(form), holders);
    }
  }

  collision(server: string, own: string): void {
    this.#warn(`${server} lists ${toolLabel(own)} under a name that another of its tools has for clients; it is left out`, `use the path of ${server} alone`);
  }

  sharedResource(servers: readonly string[]): void {
    this.#warn(`${servers.join(' and ')} offer the same resource; it is read from neither`, 'use the path of one of them alone');
  }

  /** All speak the oldest revision that one of them answered: whoever answers an old one holds the others back. */
  heldBack(servers: readonly string[], revision: string): void {
    this.#warn(`the common endpoint speaks ${revision} because ${servers.join(' and ')} answered nothing newer`, 'min_protocol_version leaves such servers off');
  }

  /** What clients of 2026-07-28 could use alone they would lose the others for. */
  mixedEras(older: readonly string[]): void {
    this.#warn(`the common endpoint offers no 2026-07-28 because ${older.join(' and ')} does not speak it`, 'servers that do can be used at the paths of their own');
  }

  #warn(message: string, hint: string): void {
    if (this.#said.has(message) || this.#said.size >= AGGREGATE_NOTICES_MAX) return;
    this.#said.add(message);
    this.#log.warn(null, message, hint);
  }
}
