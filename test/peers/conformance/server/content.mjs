// SPDX-License-Identifier: Apache-2.0
/** Tools, prompts and resources that answer at once, alike in both eras. */
import { ResourceTemplate, fromJsonSchema } from '@modelcontextprotocol/server';
import { PNG_BASE64, WAV_BASE64, text } from './media.mjs';
// Every kind of keyword that a proxy might lose (SEP-1613, SEP-2106).
import SCHEMA_2020_12 from './schema-2020-12.json' with { type: 'json' };

const image = { type: 'image', data: PNG_BASE64, mimeType: 'image/png' };

export function registerTools(server) {
  // The first tool of the list is called without arguments by the header checks: it has to be one that answers.
  server.registerTool('test_simple_text', { description: 'Answers with a text' }, () => text('This is a simple text response for testing.'));
  server.registerTool('test_image_content', { description: 'Answers with a picture' }, () => ({ content: [image] }));
  server.registerTool('test_audio_content', { description: 'Answers with a sound' }, () => ({
    content: [{ type: 'audio', data: WAV_BASE64, mimeType: 'audio/wav' }],
  }));
  server.registerTool('test_embedded_resource', { description: 'Answers with a resource' }, () => ({
    content: [
      { type: 'resource', resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'This is an embedded resource content.' } },
    ],
  }));
  server.registerTool('test_multiple_content_types', { description: 'Answers with several kinds of content' }, () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      image,
      {
        type: 'resource',
        resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data","value":123}' },
      },
    ],
  }));
  server.registerTool('test_error_handling', { description: 'Always fails' }, () => ({
    ...text('This tool intentionally returns an error for testing'),
    isError: true,
  }));
  server.registerTool(
    'json_schema_2020_12_tool',
    { description: 'Has an input schema with keywords of JSON Schema 2020-12', inputSchema: fromJsonSchema(SCHEMA_2020_12) },
    (input) => text(`schema tool called with ${JSON.stringify(input)}`),
  );
  const region = { type: 'string', description: 'Where it runs', 'x-mcp-header': 'Region' };
  server.registerTool(
    'test_custom_header',
    {
      description: 'Mirrors its argument into a request header',
      inputSchema: fromJsonSchema({ type: 'object', properties: { region }, required: ['region'] }),
    },
    (input) => text(`ran in ${input.region}`),
  );
}

export function registerPrompts(server) {
  const user = (content) => ({ role: 'user', content });
  server.registerPrompt('test_simple_prompt', { description: 'A prompt without arguments' }, () => ({
    messages: [user({ type: 'text', text: 'This is a simple prompt for testing.' })],
  }));
  const argument = (description) => ({ type: 'string', description });
  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'A prompt with two arguments',
      argsSchema: fromJsonSchema({
        type: 'object',
        properties: { arg1: argument('First test argument'), arg2: argument('Second test argument') },
        required: ['arg1', 'arg2'],
      }),
    },
    ({ arg1, arg2 }) => ({ messages: [user({ type: 'text', text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` })] }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    {
      description: 'A prompt that embeds a resource',
      argsSchema: fromJsonSchema({
        type: 'object',
        properties: { resourceUri: argument('URI of the resource to embed') },
        required: ['resourceUri'],
      }),
    },
    ({ resourceUri }) => ({
      messages: [
        user({ type: 'resource', resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' } }),
        user({ type: 'text', text: 'Please process the embedded resource above.' }),
      ],
    }),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'A prompt with a picture' }, () => ({
    messages: [user(image), user({ type: 'text', text: 'Please analyze the image above.' })],
  }));
  // Suggestions need no more than an answer of the right form.
  server.server.registerCapabilities({ completions: {} });
  server.server.setRequestHandler('completion/complete', () => ({ completion: { values: [], total: 0, hasMore: false } }));
}

export function registerResources(server) {
  const one = (uri, mimeType, rest) => ({ contents: [{ uri: uri.href, mimeType, ...rest }] });
  server.registerResource('Static text', 'test://static-text', { description: 'A text', mimeType: 'text/plain' }, (uri) =>
    one(uri, 'text/plain', { text: 'This is the content of the static text resource.' }),
  );
  server.registerResource('Static binary', 'test://static-binary', { description: 'A picture', mimeType: 'image/png' }, (uri) =>
    one(uri, 'image/png', { blob: PNG_BASE64 }),
  );
  server.registerResource('Watched', 'test://watched-resource', { description: 'Can be subscribed to', mimeType: 'text/plain' }, (uri) =>
    one(uri, 'text/plain', { text: 'Watched resource content' }),
  );
  server.registerResource(
    'Template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'Data for an id', mimeType: 'application/json' },
    (uri, { id }) => one(uri, 'application/json', { text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }),
  );
}
