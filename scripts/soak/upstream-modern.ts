// SPDX-License-Identifier: Apache-2.0
/** The soak's server at 2026-07-28: no sessions; whose a request is, its arguments or its subscription say. */
import type { ServerResponse } from 'node:http';
import type { Message } from './message.ts';
import { META_SUBSCRIPTION, MODERN, canariesIn, notification } from './message.ts';
import { TOOLS, beginEvents, callResult, failure, replyJson, work, writeEvent } from './upstream-tools.ts';

interface Subscription {
  readonly response: ServerResponse;
  readonly id: Message['id'];
  readonly uri: string;
  pushes: number;
}

export class ModernServer {
  readonly #boot: string;
  readonly #subscriptions = new Set<Subscription>();

  constructor(boot: string) {
    this.#boot = boot;
  }

  /** One message to each subscription, about the resource that it asked for. */
  push(): void {
    for (const subscription of this.#subscriptions) {
      const { response, id, uri } = subscription;
      subscription.pushes += 1;
      const _meta = { [META_SUBSCRIPTION]: id };
      writeEvent(response, notification('notifications/resources/updated', { uri: `${uri}/${subscription.pushes}`, _meta }));
    }
  }

  post(response: ServerResponse, message: Message): void {
    const { id, method = '' } = message;
    switch (method) {
      case 'server/discover':
        replyJson(response, 200, {
          jsonrpc: '2.0',
          id,
          result: { supportedVersions: [MODERN], capabilities: { tools: {}, resources: { subscribe: true } }, serverInfo: { name: 'soak', version: this.#boot }, resultType: 'complete', ttlMs: 0, cacheScope: 'public' },
        });
        return;
      case 'tools/list':
        replyJson(response, 200, { jsonrpc: '2.0', id, result: { tools: TOOLS, resultType: 'complete', ttlMs: 0, cacheScope: 'public' } });
        return;
      case 'subscriptions/listen':
        this.#listen(response, message);
        return;
      case 'tools/call':
        void this.#call(response, message);
        return;
      default:
        replyJson(response, 404, { jsonrpc: '2.0', id, error: { code: -32_601, message: 'no such method' } });
    }
  }

  #listen(response: ServerResponse, { id, params }: Message): void {
    const [uri = ''] = params?.notifications?.resourceSubscriptions ?? [];
    const subscription = { response, id, uri, pushes: 0 };
    beginEvents(response);
    writeEvent(response, notification('notifications/subscriptions/acknowledged', { notifications: params?.notifications, _meta: { [META_SUBSCRIPTION]: id } }));
    this.#subscriptions.add(subscription);
    response.on('close', () => this.#subscriptions.delete(subscription));
  }

  async #call(response: ServerResponse, { id, params }: Message): Promise<void> {
    const args = params?.arguments;
    if (args === undefined) {
      replyJson(response, 200, failure(id, 'no arguments'));
      return;
    }
    if (params?.name === 'ask' && params.requestState === undefined) {
      const method = 'elicitation/create';
      const form = { mode: 'form', message: `whose is this? ${args.canary}`, requestedSchema: { type: 'object', properties: { canary: { type: 'string' } } } };
      replyJson(response, 200, { jsonrpc: '2.0', id, result: { resultType: 'input_required', requestState: `state of ${args.canary}`, inputRequests: { whose: { method, params: form } } } });
      return;
    }
    if (params?.name === 'ask') {
      const [owner] = canariesIn(params.requestState ?? '');
      const said = params.inputResponses?.['whose']?.content?.canary;
      const honest = owner === args.canary && said === args.canary;
      replyJson(response, 200, honest ? callResult(id, args, { resultType: 'complete' }) : failure(id, "another client's answer"));
      return;
    }
    if (params?.name === 'echo') {
      replyJson(response, 200, callResult(id, args, { resultType: 'complete' }));
      return;
    }
    beginEvents(response);
    const token = params?._meta?.['progressToken'];
    const send = (message: Message): void => writeEvent(response, message);
    if (!(await work(args, token, send, () => response.destroyed))) return;
    send(callResult(id, args, { resultType: 'complete' }));
    response.end();
  }
}
