// SPDX-License-Identifier: Apache-2.0
/** A stdio server of the older revisions that lists one entry a page, under a name that no model API takes. */
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { CallToolRequestSchema, GetPromptRequestSchema, ListPromptsRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const PAGES = 3;

function page<T>(cursor: string | undefined, entry: (at: number) => T): { entries: T[]; nextCursor?: string } {
  const at = cursor === undefined ? 0 : Number(cursor);
  return at + 1 < PAGES ? { entries: [entry(at)], nextCursor: String(at + 1) } : { entries: [entry(at)] };
}

const server = new Server({ name: 'paging', version: '1.0.0' }, { capabilities: { tools: {}, prompts: {} } });
server.setRequestHandler(ListToolsRequestSchema, ({ params }) => {
  const { entries, ...rest } = page(params?.cursor, (at) => ({ name: `paging/tool.${at}`, inputSchema: { type: 'object' as const } }));
  return { tools: entries, ...rest };
});
server.setRequestHandler(ListPromptsRequestSchema, ({ params }) => {
  const { entries, ...rest } = page(params?.cursor, (at) => ({ name: `paging/prompt.${at}` }));
  return { prompts: entries, ...rest };
});
server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({ content: [{ type: 'text', text: `called ${params.name}` }] }));
server.setRequestHandler(GetPromptRequestSchema, ({ params }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `got ${params.name}` } }] }));
await server.connect(new StdioServerTransport());
