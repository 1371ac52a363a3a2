// SPDX-License-Identifier: Apache-2.0
/** What the soak's server does for a call, whatever the era: progress, then an answer with the caller's own canary. */
import type { ServerResponse } from 'node:http';
import type { CallArguments, Message } from './message.ts';
import { answerText, notification, pause } from './message.ts';

const NAMES = ['echo', 'work', 'ask', 'poll', 'secret'];

export const TOOLS: readonly object[] = NAMES.map((name) => ({
  name,
  description: `The tool ${name} of the soak`,
  inputSchema: { type: 'object', properties: { canary: { type: 'string' }, n: { type: 'integer' } }, required: ['canary', 'n'] },
}));

export function replyJson(response: ServerResponse, status: number, message: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(message));
}

export function beginEvents(response: ServerResponse, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
  response.flushHeaders();
}

export function writeEvent(response: ServerResponse, message: Message, id: string | null = null): void {
  response.write(`${id === null ? '' : `id: ${id}\n`}data: ${JSON.stringify(message)}\n\n`);
}

/** Sends the progress of a call; false where it was given up meanwhile. */
export async function work(args: CallArguments, token: unknown, send: (message: Message) => void, stopped: () => boolean): Promise<boolean> {
  const { steps = 0, ms = 0, pad = 0, canary } = args;
  for (let progress = 1; progress <= steps; progress += 1) {
    if (ms > 0) await pause(ms / steps);
    if (stopped()) return false;
    const message = `${canary} ${'x'.repeat(pad)}`;
    if (token !== undefined) send(notification('notifications/progress', { progressToken: token, progress, total: steps, message }));
  }
  return !stopped();
}

export function callResult(id: Message['id'], args: CallArguments, more: object = {}): Message {
  return { jsonrpc: '2.0', id: id ?? null, result: { content: [{ type: 'text', text: answerText(args) }], ...more } };
}

export function failure(id: Message['id'], message: string): Message {
  return { jsonrpc: '2.0', id: id ?? null, error: { code: -32_000, message } };
}
