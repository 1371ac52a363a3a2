// SPDX-License-Identifier: Apache-2.0
/** Tools and a prompt for what 2026-07-28 adds: input-required results, per-request capabilities and log levels, listen streams. */
import { CLIENT_CAPABILITIES_META_KEY, acceptedContent, createRequestStateCodec, inputRequired, inputResponse } from '@modelcontextprotocol/server';
import { sleep, text } from './media.mjs';

const STEP_MS = 20;

/** One process serves every round, so a key of this process will do. */
export const stateCodec = createRequestStateCodec({ key: crypto.getRandomValues(new Uint8Array(32)) });

const ask = (message, field, type = 'string') =>
  inputRequired.elicit({ message, requestedSchema: { type: 'object', properties: { [field]: { type } }, required: [field] } });

const question = (content) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: content } }], maxTokens: 100 });

const declared = (context) => context.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {};

const sampled = (view) => (view.kind === 'sampling' && view.result.content.type === 'text' ? view.result.content.text : '');

function registerSingleRound(server) {
  server.registerTool('test_input_required_result_elicitation', { description: 'Asks for a name' }, (context) => {
    const answer = acceptedContent(context.mcpReq.inputResponses, 'user_name');
    if (typeof answer?.name !== 'string') return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } });
    return text(`Hello, ${answer.name}!`);
  });
  server.registerTool('test_input_required_result_sampling', { description: 'Asks the model' }, (context) => {
    const answer = inputResponse(context.mcpReq.inputResponses, 'capital_question');
    if (answer.kind !== 'sampling') {
      return inputRequired({ inputRequests: { capital_question: question('What is the capital of France?') } });
    }
    return text(sampled(answer));
  });
  server.registerTool('test_input_required_result_list_roots', { description: 'Asks for the roots' }, (context) => {
    const answer = inputResponse(context.mcpReq.inputResponses, 'client_roots');
    if (answer.kind !== 'roots') return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    return text(`Roots: ${answer.roots.map((root) => root.uri).join(', ')}`);
  });
  server.registerTool('test_input_required_result_capabilities', { description: 'Asks only for what the client declared' }, (context) => {
    const capabilities = declared(context);
    const answers = context.mcpReq.inputResponses;
    if (answers !== undefined && Object.keys(answers).length > 0) return text('answered');
    const inputRequests = {
      ...('sampling' in capabilities ? { question: question('What is the capital of France?') } : {}),
      ...('elicitation' in capabilities ? { name: ask('What is your name?', 'name') } : {}),
    };
    return Object.keys(inputRequests).length === 0 ? text('nothing can be asked') : inputRequired({ inputRequests });
  });
}

function registerWithState(server) {
  for (const name of ['test_input_required_result_request_state', 'test_input_required_result_tampered_state']) {
    server.registerTool(name, { description: 'Keeps its state at the client' }, async (context) => {
      const state = context.mcpReq.requestState();
      const answer = acceptedContent(context.mcpReq.inputResponses, 'confirm');
      if (state === undefined || answer === undefined) {
        return inputRequired({
          inputRequests: { confirm: ask('Please confirm', 'ok', 'boolean') },
          requestState: await stateCodec.mint({ name }),
        });
      }
      return text(state.name === name ? 'state-ok' : 'state of another tool');
    });
  }
  server.registerTool('test_input_required_result_multiple_inputs', { description: 'Asks three things at once' }, async (context) => {
    const answers = context.mcpReq.inputResponses;
    const name = acceptedContent(answers, 'user_name');
    const greeting = inputResponse(answers, 'greeting');
    const roots = inputResponse(answers, 'client_roots');
    if (name === undefined || greeting.kind !== 'sampling' || roots.kind !== 'roots') {
      return inputRequired({
        inputRequests: {
          user_name: ask('What is your name?', 'name'),
          greeting: question('Generate a greeting'),
          client_roots: inputRequired.listRoots(),
        },
        requestState: await stateCodec.mint({ asked: 3 }),
      });
    }
    return text(`${sampled(greeting)} ${String(name.name)}, ${roots.roots.length} roots`);
  });
  server.registerTool('test_input_required_result_multi_round', { description: 'Asks twice' }, async (context) => {
    const state = context.mcpReq.requestState();
    const name = acceptedContent(context.mcpReq.inputResponses, 'step1');
    const color = acceptedContent(context.mcpReq.inputResponses, 'step2');
    if (state?.name !== undefined && color !== undefined) return text(`${state.name} likes ${String(color.color)}`);
    if (state !== undefined && name !== undefined) {
      return inputRequired({
        inputRequests: { step2: ask('Step 2: What is your favorite color?', 'color') },
        requestState: await stateCodec.mint({ name: String(name.name) }),
      });
    }
    return inputRequired({
      inputRequests: { step1: ask('Step 1: What is your name?', 'name') },
      requestState: await stateCodec.mint({}),
    });
  });
}

/** @param change what a trigger tool calls to change a list and to tell the listen streams */
export function registerModern(server, change) {
  registerSingleRound(server);
  registerWithState(server);
  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks before it answers' }, (context) => {
    const answer = acceptedContent(context.mcpReq.inputResponses, 'user_context');
    if (answer === undefined) {
      return inputRequired({ inputRequests: { user_context: ask('What context should the prompt use?', 'context') } });
    }
    return { messages: [{ role: 'user', content: { type: 'text', text: `Use this context: ${String(answer.context)}` } }] };
  });
  // Without sampling declared, the library refuses this result with -32021 and names the capability.
  server.registerTool('test_missing_capability', { description: 'Cannot work without sampling' }, (context) => {
    const answer = inputResponse(context.mcpReq.inputResponses, 'needed');
    return answer.kind === 'sampling' ? text(sampled(answer)) : inputRequired({ inputRequests: { needed: question('Say something') } });
  });
  server.registerTool('test_streaming_elicitation', { description: 'Streams, then asks if it may' }, async (context) => {
    const answer = acceptedContent(context.mcpReq.inputResponses, 'confirm');
    await context.mcpReq.log('info', 'about to ask');
    if (answer !== undefined || !('elicitation' in declared(context))) return text('done');
    return inputRequired({ inputRequests: { confirm: ask('Go on?', 'ok', 'boolean') } });
  });
  server.registerTool('test_logging_tool', { description: 'Logs, if the request asked for it' }, async (context) => {
    for (const step of ['started', 'working', 'done']) {
      await context.mcpReq.log('info', step);
      await sleep(STEP_MS);
    }
    return text('logged');
  });
  server.registerTool('test_trigger_tool_change', { description: 'Changes the list of tools' }, () => {
    change.tools();
    return text('the list of tools changed');
  });
  server.registerTool('test_trigger_prompt_change', { description: 'Changes the list of prompts' }, () => {
    change.prompts();
    return text('the list of prompts changed');
  });
}
