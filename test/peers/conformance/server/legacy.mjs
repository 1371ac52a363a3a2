// SPDX-License-Identifier: Apache-2.0
/** Tools that need what only the revisions up to 2025-11-25 have: sessions, requests to the client, streams that go on. */
import { fromJsonSchema } from '@modelcontextprotocol/server';
import { sleep, text } from './media.mjs';

const STEP_MS = 50;

const argument = (name) => fromJsonSchema({ type: 'object', properties: { [name]: { type: 'string' } }, required: [name] });

const answered = ({ action, content }) => text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`);

/** Defaults of every primitive type (SEP-1034). */
const DEFAULTS = {
  name: { type: 'string', description: 'User name', default: 'John Doe' },
  age: { type: 'integer', description: 'User age', default: 30 },
  score: { type: 'number', description: 'User score', default: 95.5 },
  status: { type: 'string', description: 'User status', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', description: 'Verification status', default: true },
};

const titled = (prefix, titles) => titles.map((title, at) => ({ const: `${prefix}${at + 1}`, title }));

/** The five forms of an enumeration (SEP-1330). */
const ENUMS = {
  untitledSingle: { type: 'string', description: 'Select one option', enum: ['option1', 'option2', 'option3'] },
  titledSingle: { type: 'string', description: 'Select one option', oneOf: titled('value', ['First Option', 'Second Option', 'Third Option']) },
  legacyEnum: {
    type: 'string',
    description: 'Select one option',
    enum: ['opt1', 'opt2', 'opt3'],
    enumNames: ['Option One', 'Option Two', 'Option Three'],
  },
  untitledMulti: {
    type: 'array',
    description: 'Select options',
    minItems: 1,
    maxItems: 3,
    items: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  },
  titledMulti: {
    type: 'array',
    description: 'Select options',
    minItems: 1,
    maxItems: 3,
    items: { anyOf: titled('value', ['First Choice', 'Second Choice', 'Third Choice']) },
  },
};

function registerElicitation(server) {
  const ask = (context, message, properties, required = []) =>
    context.mcpReq.elicitInput({ message, requestedSchema: { type: 'object', properties, required } });
  server.registerTool('test_elicitation', { description: 'Asks the user', inputSchema: argument('message') }, async ({ message }, context) => {
    const field = (description) => ({ type: 'string', description });
    const properties = { username: field("User's response"), email: field("User's email address") };
    const { action, content } = await ask(context, message, properties, ['username', 'email']);
    return text(`User response: action=${action}, content=${JSON.stringify(content ?? {})}`);
  });
  server.registerTool('test_elicitation_sep1034_defaults', { description: 'Asks with defaults' }, async (context) =>
    answered(await ask(context, 'Please review and update the form fields with defaults', DEFAULTS)),
  );
  server.registerTool('test_elicitation_sep1330_enums', { description: 'Asks with enumerations' }, async (context) =>
    answered(await ask(context, 'Please select options from the enum fields', ENUMS)),
  );
}

export function registerLegacyTools(server) {
  server.registerTool('test_tool_with_logging', { description: 'Logs while it works' }, async (context) => {
    await context.mcpReq.log('info', 'Tool execution started');
    await sleep(STEP_MS);
    await context.mcpReq.log('info', 'Tool processing data');
    await sleep(STEP_MS);
    await context.mcpReq.log('info', 'Tool execution completed');
    return text('Tool with logging executed successfully');
  });
  server.registerTool('test_sampling', { description: 'Asks the model of the client', inputSchema: argument('prompt') }, async ({ prompt }, context) => {
    const messages = [{ role: 'user', content: { type: 'text', text: prompt } }];
    const { content } = await context.mcpReq.requestSampling({ messages, maxTokens: 100 });
    return text(`LLM response: ${content.type === 'text' ? content.text : content.type}`);
  });
  registerElicitation(server);
  server.registerTool('test_reconnection', { description: 'Closes its stream before it answers' }, async (context) => {
    await sleep(STEP_MS);
    context.http?.closeSSE?.();
    await sleep(STEP_MS * 2);
    return text('Reconnection test completed successfully');
  });
  // The client may say what it watches; nothing ever changes here.
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', () => ({}));
}
