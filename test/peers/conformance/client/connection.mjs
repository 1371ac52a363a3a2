// SPDX-License-Identifier: Apache-2.0
/** One connection to the server of a scenario, in the era that the suite names, with the authorization that it asks for. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const MODERN = '2026-07-28';
/** Redirects that one step may redeem: the first authorization, and one step up. */
const AUTHORIZATIONS_MAX = 2;

export class Connection {
  #url;
  #provider;
  #client;
  #transport;

  constructor(url, provider) {
    this.#url = url;
    this.#provider = provider;
  }

  get client() {
    return this.#client;
  }

  async open() {
    await this.#authorized(async () => {
      await this.#client?.close();
      this.#transport = new StreamableHTTPClientTransport(this.#url, { authProvider: this.#provider });
      this.#client = build();
      await this.#client.connect(this.#transport);
    });
  }

  /** Does one step, as often as authorization has to be redone for it. */
  async step(action) {
    return this.#authorized(() => action(this.#client));
  }

  async close() {
    if (this.#transport.sessionId !== undefined) await this.#transport.terminateSession().catch(() => {});
    await this.#client.close();
  }

  async #authorized(action) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await action();
      } catch (error) {
        const callback = this.#provider?.takeCallback?.();
        if (callback === undefined || attempt > AUTHORIZATIONS_MAX) throw error;
        await this.#transport.finishAuth(callback);
      }
    }
  }
}

function build() {
  const modern = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION === MODERN;
  const client = new Client(
    { name: 'conformance-client', version: '1.0.0' },
    {
      // An open elicitation form with defaults is filled in by the client (SEP-1034).
      capabilities: { sampling: {}, elicitation: { form: { applyDefaults: true } }, roots: { listChanged: false } },
      versionNegotiation: { mode: modern ? 'auto' : 'legacy' },
    },
  );
  client.setRequestHandler('elicitation/create', ({ params }) => ({
    action: 'accept',
    content: 'confirmed' in (params.requestedSchema?.properties ?? {}) ? { confirmed: true } : {},
  }));
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant',
    content: { type: 'text', text: 'A sampled answer' },
    model: 'conformance-model',
    stopReason: 'endTurn',
  }));
  client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///conformance', name: 'conformance' }] }));
  return client;
}
