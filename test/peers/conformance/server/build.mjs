// SPDX-License-Identifier: Apache-2.0
/** Puts one server of an era together: a session or a pipe gets its own, at 2026-07-28 over HTTP every request does. */
import { McpServer } from '@modelcontextprotocol/server';
import { registerPrompts, registerResources, registerTools } from './content.mjs';
import { registerLegacyTools } from './legacy.mjs';
import { sleep, text } from './media.mjs';
import { registerModern, stateCodec } from './modern.mjs';

const PROGRESS_STEP_MS = 50;

/** What the trigger tools have changed: every server made from then on shows it. */
const changed = { tools: false, prompts: false };

function registerProgress(server) {
  server.registerTool('test_tool_with_progress', { description: 'Reports progress' }, async (context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) {
        await context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
      }
      await sleep(PROGRESS_STEP_MS);
    }
    return text('Tool with progress executed successfully');
  });
}

/** A tool and a prompt that come and go; the functions make one of them do so. */
function registerChanging(server, announce) {
  const description = 'Is there after every other change';
  const tool = server.registerTool('test_changed_tool', { description }, () => text('changed'));
  const prompt = server.registerPrompt('test_changed_prompt', { description }, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'changed' } }],
  }));
  if (!changed.tools) tool.disable();
  if (!changed.prompts) prompt.disable();
  // The library tells the client of a server that lasts; for servers of one request, `announce` has to.
  const flip = (kind, item) => () => {
    changed[kind] = !changed[kind];
    if (announce !== undefined) announce[kind]();
    else if (changed[kind]) item.enable();
    else item.disable();
  };
  return { tools: flip('tools', tool), prompts: flip('prompts', prompt) };
}

/**
 * @param {'legacy' | 'modern'} era
 * @param {{ tools(): void, prompts(): void } | undefined} announce tells the listen streams of a change
 */
export function build(era, announce) {
  const server = new McpServer(
    { name: 'conformance-fixture', version: '1.0.0' },
    {
      instructions: 'Answers what the conformance suite asks.',
      capabilities: {
        logging: {},
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
      },
      requestState: { verify: (state, context) => stateCodec.verify(state, context) },
    },
  );
  registerTools(server);
  registerPrompts(server);
  registerResources(server);
  registerProgress(server);
  const change = registerChanging(server, announce);
  if (era === 'legacy') registerLegacyTools(server);
  else registerModern(server, change);
  return server;
}
