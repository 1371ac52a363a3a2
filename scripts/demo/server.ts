// SPDX-License-Identifier: Apache-2.0
/** The demo's MCP server: a shell that nobody should call, and a harmless file reader. */
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

serveStdio(() => {
  const server = new McpServer({ name: 'demo', version: '1.0.0' });
  server.registerTool(
    'shell.exec',
    { description: 'Runs a command on this machine', inputSchema: z.object({ command: z.string() }) },
    ({ command }) => ({ content: [{ type: 'text', text: `would have run: ${command}` }] }),
  );
  server.registerTool(
    'filesystem.read_file',
    { description: 'Reads a text file', inputSchema: z.object({ path: z.string() }) },
    ({ path }) => ({ content: [{ type: 'text', text: `the text of ${path}` }] }),
  );
  return server;
});
