// SPDX-License-Identifier: Apache-2.0
/** A server of both eras on the published SDK, with one of everything that 2026-07-28 changed. */
import { McpServer, acceptedContent, inputRequired } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const confirmation = z.object({ confirm: z.boolean() });

serveStdio(() => {
  const server = new McpServer({ name: 'modern', version: '1.0.0' }, { instructions: 'use the tools with care' });
  server.registerTool('add', { description: 'Adds', inputSchema: z.object({ a: z.number(), b: z.number() }), outputSchema: z.object({ sum: z.number() }) }, ({ a, b }) => ({
    content: [{ type: 'text', text: String(a + b) }],
    structuredContent: { sum: a + b },
  }));
  server.registerTool('fail', { description: 'Fails' }, () => ({ content: [{ type: 'text', text: 'it failed' }], isError: true }));
  server.registerTool('count', { description: 'Reports progress' }, async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.['progressToken'];
    for (let progress = 1; progress <= 3 && progressToken !== undefined; progress += 1) {
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } });
    }
    return { content: [{ type: 'text', text: 'counted' }] };
  });
  server.registerTool('deploy', { description: 'Asks first', inputSchema: z.object({ env: z.string() }) }, ({ env }, ctx) => {
    const answer = acceptedContent(ctx.mcpReq.inputResponses, 'confirm', confirmation);
    if (answer?.confirm !== true) {
      const confirm = inputRequired.elicit({ message: `Deploy to ${env}?`, requestedSchema: confirmation });
      return inputRequired({ inputRequests: { confirm } });
    }
    return { content: [{ type: 'text', text: `deployed to ${env}` }] };
  });
  server.registerTool('grow', { description: 'Adds a tool' }, () => {
    server.registerTool('grown', { description: 'Was added' }, () => ({ content: [{ type: 'text', text: 'grown' }] }));
    return { content: [{ type: 'text', text: 'added' }] };
  });
  server.registerPrompt('greet', { description: 'Greets', argsSchema: z.object({ name: z.string() }) }, ({ name }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Hello ${name}` } }],
  }));
  server.registerResource('note', 'test://note', { description: 'A note' }, (uri) => ({ contents: [{ uri: uri.href, text: 'noted' }] }));
  return server;
});
