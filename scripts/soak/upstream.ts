// SPDX-License-Identifier: Apache-2.0
/**
 * The server behind the soak, of both eras, made to be killed: it keeps nothing, and says in its handshake which start
 * of it answers.
 *
 *   node scripts/soak/upstream.ts PORT START PUSH_MS
 *
 * Prints its port when it listens.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Message } from './message.ts';
import { MODERN } from './message.ts';
import { LegacyServer } from './upstream-legacy.ts';
import { ModernServer } from './upstream-modern.ts';

const [port = '0', start = '1', pushMs = '5000'] = process.argv.slice(2);
const legacy = new LegacyServer(start);
const modern = new ModernServer(start);

async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  if (incoming.method === 'GET') {
    legacy.get(incoming, response);
    return;
  }
  if (incoming.method === 'DELETE') {
    legacy.delete(incoming, response);
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const message: Message = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  if (incoming.headers['mcp-protocol-version'] === MODERN) modern.post(response, message);
  else legacy.post(incoming, response, message);
}

const server = createServer((incoming, response) => {
  response.on('error', () => undefined);
  handle(incoming, response).catch(() => response.destroy());
});
setInterval(() => {
  legacy.push();
  modern.push();
}, Number(pushMs));
// Whoever started it is gone.
process.stdin.on('end', () => process.exit(0)).resume();
server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : port}\n`);
});
