// SPDX-License-Identifier: Apache-2.0
/** The smallest MCP server there can be: what is left of a measurement's time is the gateway's. */
import { createInterface } from 'node:readline';

const tools = [{ name: 'echo', description: 'Echoes', inputSchema: { type: 'object', properties: { text: { type: 'string' } } } }];

createInterface(process.stdin).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  let result: object = {};
  if (method === 'initialize') result = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'echo', version: '1' } };
  if (method === 'tools/list') result = { tools };
  if (method === 'tools/call') result = { content: [{ type: 'text', text: params.arguments.text }] };
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, result })}\n`);
});
