// SPDX-License-Identifier: Apache-2.0
/**
 * The server that the conformance suite is run against: every tool, prompt and resource that it calls, both eras on one
 * listener, on the published SDK. Revisions up to 2025-11-25 get sessions with resumable streams, 2026-07-28 a fresh
 * server per request. Host and Origin are validated, since the suite tries DNS rebinding.
 *
 *   node fixture.mjs PORT
 *   node fixture.mjs --stdio
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createMcpHandler, isInitializeRequest, isJsonContentType, isLegacyRequest } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { NodeStreamableHTTPServerTransport, localhostHostValidation, localhostOriginValidation, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import { build } from './build.mjs';
import { Events } from './events.mjs';

const PATH = '/mcp';
const RETRY_MS = 300;

const modern = createMcpHandler(() => build('modern', { tools: () => modern.notify.toolsChanged(), prompts: () => modern.notify.promptsChanged() }), {
  legacy: 'reject',
});
const modernNode = toNodeHandler(modern);
const sessions = new Map();

async function openSession() {
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    eventStore: new Events(),
    retryInterval: RETRY_MS,
    onsessioninitialized: (id) => {
      sessions.set(id, transport);
    },
    onsessionclosed: (id) => {
      sessions.delete(id);
    },
  });
  await build('legacy').connect(transport);
  return transport;
}

function refuse(response, status, code, message) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message } }));
}

async function legacy(request, response, body) {
  const id = request.headers['mcp-session-id'];
  if (id === undefined) {
    if (!isInitializeRequest(body)) {
      refuse(response, 400, -32000, 'Bad Request: Mcp-Session-Id header is required');
      return;
    }
    const transport = await openSession();
    await transport.handleRequest(request, response, body);
    return;
  }
  const transport = sessions.get(id);
  if (transport === undefined) refuse(response, 404, -32001, 'Session not found');
  else await transport.handleRequest(request, response, body);
}

async function handle(request, response) {
  if (new URL(request.url, 'http://localhost').pathname !== PATH) {
    refuse(response, 404, -32000, 'Not found');
    return;
  }
  let body;
  if (request.method === 'POST') {
    if (!isJsonContentType(request.headers['content-type'])) {
      refuse(response, 415, -32000, 'Unsupported Media Type: Content-Type must be application/json');
      return;
    }
    try {
      body = JSON.parse(await (await toWebRequest(request)).text());
    } catch {
      refuse(response, 400, -32700, 'Parse error');
      return;
    }
  }
  if (await isLegacyRequest(await toWebRequest(request, body), body)) await legacy(request, response, body);
  else await modernNode(request, response, body);
}

function listen(port) {
  const hostIsLocal = localhostHostValidation();
  const originIsLocal = localhostOriginValidation();
  const listener = createServer((request, response) => {
    if (!hostIsLocal(request, response) || !originIsLocal(request, response)) return;
    handle(request, response).catch((error) => {
      process.stderr.write(`fixture: ${error.stack}\n`);
      if (!response.headersSent) refuse(response, 500, -32603, 'Internal error');
    });
  });
  listener.listen(port, '127.0.0.1', () => {
    process.stderr.write(`fixture: listening on http://127.0.0.1:${listener.address().port}${PATH}\n`);
  });
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
if (process.argv[2] === '--stdio') serveStdio(({ era }) => build(era));
else listen(Number(process.argv[2] ?? '0'));
