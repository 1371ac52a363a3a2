// SPDX-License-Identifier: Apache-2.0
/** A client of 2026-07-28: one subscription that stays open, and calls that each stand for themselves. */
import type { Call, Course } from './call.ts';
import { SoakClient, choose } from './client.ts';
import type { ClientOptions } from './client.ts';
import type { CallArguments, Message } from './message.ts';
import { META_CAPABILITIES, META_CLIENT, META_VERSION, MODERN, patience, pause, request } from './message.ts';
import type { Exchange } from './wire.ts';
import { exchange } from './wire.ts';

const ACTS = { echo: 40, work: 20, burst: 3, ask: 8, denied: 4, cancel: 8, list: 4, relisten: 3 };
/** Clients with the same capabilities share a conversation behind the gateway. */
const CAPABILITIES: readonly object[] = [{ elicitation: { form: {} } }, { elicitation: { form: {} }, sampling: {} }, { elicitation: { form: {} }, roots: {} }];

interface Ask {
  state: string | null;
}

export class ModernClient extends SoakClient {
  readonly #number: number;
  readonly #meta: Record<string, unknown>;
  #listening: Exchange | null = null;
  #relisten = false;
  #pushes = 0;
  #acknowledged = false;

  constructor(options: ClientOptions) {
    super(options);
    this.#number = options.number;
    this.#meta = {
      [META_VERSION]: MODERN,
      [META_CLIENT]: { name: 'soak', version: '1' },
      [META_CAPABILITIES]: CAPABILITIES[options.number % CAPABILITIES.length],
    };
  }

  protected get who(): string {
    return `modern client ${this.#number}`;
  }

  #send(id: number, method: string, params: Record<string, unknown>, message: (text: string) => void, streaming?: () => void): Exchange {
    const headers: Record<string, string> = { accept: 'application/json, text/event-stream', 'content-type': 'application/json', 'mcp-protocol-version': MODERN, 'mcp-method': method };
    if (typeof params['name'] === 'string') headers['mcp-name'] = params['name'];
    const body = JSON.stringify(request(id, method, { ...params, _meta: { ...this.#meta, ...(method === 'tools/call' ? { progressToken: id } : {}) } }));
    return exchange({ method: 'POST', url: this.url, headers, body, message, ...(streaming === undefined ? {} : { streaming }) });
  }

  open(): Promise<void> {
    void this.#listen();
    return Promise.resolve();
  }

  async #listen(): Promise<void> {
    while (!this.stopped) {
      const since = this.tally.now();
      const id = this.nextId();
      this.#pushes = 0;
      this.#acknowledged = false;
      let isOpen = false;
      let answer: Message | null = null;
      const message = (text: string): void => {
        const read = this.read(text);
        if (read?.method === undefined) answer = read;
        else this.notified(read);
      };
      this.#listening = this.#send(id, 'subscriptions/listen', { notifications: { resourceSubscriptions: [`soak://${this.canary}`] } }, message, () => {
        isOpen = true;
        this.tally.opened('streams', 1);
      });
      const { status, broken } = await this.#listening.ended;
      if (isOpen) this.tally.opened('streams', -1);
      if (this.stopped) return;
      if (this.#relisten) this.#relisten = false;
      else this.#judgeEnd(answer, id, status, broken, this.tally.disturbedSince(since));
      await pause(patience());
    }
  }

  #judgeEnd(answer: Message | null, id: number, status: number, broken: string | null, disturbed: boolean): void {
    if (!disturbed) this.violation(`its subscription ended: HTTP ${status} ${broken ?? ''} ${JSON.stringify(answer)}`);
    else if (answer === null) this.violation(`its subscription ended without an answer: HTTP ${status} ${broken ?? ''}`);
    else if (answer.id !== id) this.violation(`its subscription ${id} was answered as ${answer.id}`);
    this.tally.count(`subscription ended ${answer?.error?.data?.code ?? status}`);
  }

  protected notified({ method, params }: Message): void {
    if (method === 'notifications/subscriptions/acknowledged') {
      if (this.#acknowledged) this.violation('acknowledged twice');
      this.#acknowledged = true;
      return;
    }
    const seq = Number(params?.uri?.split('/').at(-1));
    if (method !== 'notifications/resources/updated' || !this.#acknowledged) this.violation(`an unexpected ${method}`);
    else if (seq !== this.#pushes + 1) this.violation(`push ${seq} came after push ${this.#pushes}`);
    this.#pushes = seq;
    this.tally.count('pushes');
  }

  protected async act(): Promise<void> {
    const act = choose(ACTS);
    switch (act) {
      case 'echo':
        return this.#call('echo', {});
      case 'denied':
        return this.#call('secret', {});
      case 'work':
        return this.#call('work', { steps: 3, ms: Math.random() * 2000 });
      case 'burst':
        return this.#call('work', { steps: 80, pad: 4096 }, { restMs: 700 });
      case 'cancel':
        return this.#call('work', { steps: 4, ms: 4000 }, { course: 'cancels' });
      case 'ask':
        return this.#ask();
      case 'list':
        return this.#list();
      case 'relisten':
        this.#relisten = true;
        this.#listening?.drop();
    }
  }

  #begin(id: number, tool: string, args: CallArguments, course: Course): Call {
    return this.begin({ who: this.who, tool, args, id, course, denied: tool === 'secret', outdated: () => false });
  }

  async #call(tool: string, more: Partial<CallArguments>, how: { course?: Course; restMs?: number; params?: object } = {}): Promise<void> {
    const { course = 'waits', restMs = 0, params = {} } = how;
    const id = this.nextId();
    const args = { canary: this.canary, n: id, ...more };
    const call = this.#begin(id, tool, args, course);
    let messages = 0;
    const sent = this.#send(id, 'tools/call', { name: tool, arguments: args, ...params }, (text) => {
      this.take(text, call);
      messages += 1;
      if (messages === 1 && restMs > 0) sent.rest(restMs);
    });
    if (course === 'cancels') {
      await pause(200 + Math.random() * 800);
      sent.drop();
    }
    const { status, broken } = await sent.ended;
    if (broken !== null) call.violation(`its connection broke (${broken})`);
    this.finish(call, `HTTP ${status}`);
  }

  /** The server asks back within its answer, and the call is sent again with what it wants to know. */
  async #ask(): Promise<void> {
    const since = this.tally.now();
    const ask: Ask = { state: null };
    const id = this.nextId();
    const params = { name: 'ask', arguments: { canary: this.canary, n: id } };
    const { ended } = this.#send(id, 'tools/call', params, (text) => {
      const message = this.read(text);
      if (message?.id !== id) this.violation(`an answer to ${message?.id} instead of ${id}`);
      ask.state = message?.result?.requestState ?? null;
    });
    const { status } = await ended;
    if (ask.state === null) {
      if (!this.tally.disturbedSince(since)) this.violation(`ask ${id}: HTTP ${status}, no question`);
      return;
    }
    const inputResponses = { whose: { action: 'accept', content: { canary: this.canary } } };
    await this.#call('ask', { n: id }, { params: { requestState: ask.state, inputResponses } });
  }

  async #list(): Promise<void> {
    const since = this.tally.now();
    let tools = 0;
    const { ended } = this.#send(this.nextId(), 'tools/list', {}, (text) => {
      tools = this.read(text)?.result?.tools?.length ?? 0;
    });
    const { status } = await ended;
    if (tools !== 4 && !this.tally.disturbedSince(since)) this.violation(`tools/list: HTTP ${status}, ${tools} tools`);
    this.tally.count('listings');
  }

  close(): Promise<void> {
    this.#listening?.drop();
    return Promise.resolve();
  }
}
