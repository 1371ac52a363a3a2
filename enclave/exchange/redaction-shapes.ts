// SPDX-License-Identifier: Apache-2.0
/**
 * Which parts of a message are redacted, and which have to stay as they are because they route it, name something that
 * the other side looks up, or are no text: ids, cursors, names of tools and prompts, URIs, discriminators, images. What
 * no shape names is redacted, its key as well as its value.
 */
import type { Direction } from '../../shared/audit/row.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_PROTOCOL_VERSION, META_SUBSCRIPTION_ID } from '../../shared/mcp/meta.ts';

export type Shape =
  /** As it is, whatever it is. */
  | 'keep'
  /** All of it is redacted: keys, strings and numbers at any depth. */
  | 'redact'
  /** A number, or a word such as `user`: anything else is redacted. */
  | 'word'
  /** A JSON Schema: numbers and the names of types stay. */
  | 'schema'
  /** Base64: text in it is redacted and encoded again. */
  | 'blob'
  | { readonly kind: 'list'; readonly each: Shape }
  /** Members that the protocol names, by their shape, and all others. Names of the former stay, of the latter with `names`. */
  | { readonly kind: 'object'; readonly members: ReadonlyMap<string, Shape>; readonly rest: Shape; readonly names?: 'keep' }
  | ((value: JsonValue) => Shape);

type Members = Readonly<Record<string, Shape>>;

function object(members: Members, rest: Shape = 'redact'): Shape {
  return { kind: 'object', members: new Map(Object.entries(members)), rest };
}

function list(each: Shape): Shape {
  return { kind: 'list', each };
}

/** Members whose names one side chose and the other looks up. */
function mapOf(rest: Shape): Shape {
  return { kind: 'object', members: new Map(), rest, names: 'keep' };
}

const META_NAMES = ['progressToken', META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES, META_LOG_LEVEL, META_SUBSCRIPTION_ID, 'io.modelcontextprotocol/related-task'];
const INFO = object({ name: 'redact', version: 'redact', title: 'redact', description: 'redact', websiteUrl: 'keep', icons: 'keep' });
const META = object({
  ...Object.fromEntries(META_NAMES.map((name) => [name, 'keep' as const])),
  [META_CLIENT_INFO]: INFO,
  'io.modelcontextprotocol/serverInfo': INFO,
});

const ANNOTATIONS = object({ audience: list('word'), priority: 'word', lastModified: 'keep' });
const DESCRIBED: Members = { title: 'redact', description: 'redact', annotations: ANNOTATIONS, icons: 'keep', _meta: META };
const CONTENTS = object({ uri: 'keep', mimeType: 'keep', text: 'redact', blob: 'blob', _meta: META });

const BLOCK: Members = { type: 'word', annotations: ANNOTATIONS, _meta: META };
const MEDIA = object({ ...BLOCK, data: 'keep', mimeType: 'keep' });
const BLOCKS: ReadonlyMap<JsonValue, Shape> = new Map<JsonValue, Shape>([
  ['text', object({ ...BLOCK, text: 'redact' })],
  ['image', MEDIA],
  ['audio', MEDIA],
  ['resource', object({ ...BLOCK, resource: CONTENTS })],
  ['resource_link', object({ ...BLOCK, ...DESCRIBED, uri: 'keep', mimeType: 'keep', size: 'word', name: 'redact' })],
  ['tool_use', object({ ...BLOCK, id: 'keep', name: 'keep', input: 'redact' })],
  ['tool_result', object({ ...BLOCK, toolUseId: 'keep', content: blocks, structuredContent: 'redact', isError: 'word' })],
]);

/** One block of content, or a list of them. */
function blocks(value: JsonValue): Shape {
  if (Array.isArray(value)) return list(blocks);
  return (isJsonObject(value) ? BLOCKS.get(value['type'] ?? null) : undefined) ?? 'redact';
}

const MESSAGES = list(object({ role: 'word', content: blocks, _meta: META }));

/** Requests of the server's, by their method. */
const SAMPLING: Members = {
  messages: MESSAGES,
  systemPrompt: 'redact',
  includeContext: 'word',
  temperature: 'word',
  maxTokens: 'word',
  tools: list(object({ ...DESCRIBED, name: 'keep', inputSchema: 'schema', outputSchema: 'schema' })),
  toolChoice: object({ mode: 'word' }),
};
const ELICITATION: Members = { mode: 'word', message: 'redact', requestedSchema: 'schema', url: 'keep', elicitationId: 'keep' };
const ASKED: Members = { ...SAMPLING, ...ELICITATION, _meta: META };
const INPUT_REQUESTS = mapOf(object({ method: 'keep', params: object(ASKED) }));

/** What a client answers: a form's content has names of the server's, a model's message has blocks. */
const ANSWER: Members = { action: 'word', role: 'word', model: 'redact', stopReason: 'word', roots: 'redact', resultType: 'word', _meta: META };
const CLIENT_ANSWER = (value: JsonValue): Shape => object({ ...ANSWER, content: isJsonObject(value) && 'role' in value && !('action' in value) ? blocks : 'redact' });

const TASK: Members = {
  taskId: 'keep',
  status: 'word',
  statusMessage: 'redact',
  createdAt: 'keep',
  lastUpdatedAt: 'keep',
  ttl: 'word',
  ttlMs: 'word',
  pollInterval: 'word',
  pollIntervalMs: 'word',
  inputRequests: INPUT_REQUESTS,
  _meta: META,
};

/** Of requests and notifications, in both directions where both have them. */
const ANY_PARAMS: Members = { _meta: META, taskId: 'keep', cursor: 'keep', task: object({ ttl: 'word' }) };
const CALL: Members = { ...ANY_PARAMS, name: 'keep', arguments: 'redact', inputResponses: mapOf(CLIENT_ANSWER), requestState: 'keep' };
const URI_ONLY: Members = { ...ANY_PARAMS, uri: 'keep', inputResponses: mapOf(CLIENT_ANSWER), requestState: 'keep' };
const PROGRESS: Members = { ...ANY_PARAMS, progressToken: 'keep', progress: 'word', total: 'word', message: 'redact' };
const CANCELLED: Members = { ...ANY_PARAMS, requestId: 'keep', reason: 'redact' };

const REQUESTS: Readonly<Record<Direction, ReadonlyMap<string, Members>>> = {
  c2s: new Map<string, Members>([
    ['initialize', { ...ANY_PARAMS, protocolVersion: 'keep', capabilities: 'keep', clientInfo: INFO }],
    ['tools/call', CALL],
    ['prompts/get', CALL],
    ['resources/read', URI_ONLY],
    ['resources/subscribe', URI_ONLY],
    ['resources/unsubscribe', URI_ONLY],
    ['completion/complete', { ...ANY_PARAMS, ref: 'keep', argument: object({ name: 'keep', value: 'redact' }), context: object({ arguments: 'redact' }) }],
    ['logging/setLevel', { ...ANY_PARAMS, level: 'word' }],
    ['subscriptions/listen', { ...ANY_PARAMS, notifications: 'keep' }],
    ['tasks/update', { ...ANY_PARAMS, inputResponses: mapOf(CLIENT_ANSWER) }],
    ['notifications/progress', PROGRESS],
    ['notifications/cancelled', CANCELLED],
    ['notifications/tasks/status', TASK],
  ]),
  s2c: new Map<string, Members>([
    ['sampling/createMessage', { ...ANY_PARAMS, ...SAMPLING }],
    ['elicitation/create', { ...ANY_PARAMS, ...ELICITATION }],
    ['notifications/message', { ...ANY_PARAMS, level: 'word', logger: 'redact', data: 'redact' }],
    ['notifications/progress', PROGRESS],
    ['notifications/cancelled', CANCELLED],
    ['notifications/resources/updated', { ...ANY_PARAMS, uri: 'keep' }],
    ['notifications/elicitation/complete', { ...ANY_PARAMS, elicitationId: 'keep' }],
    ['notifications/subscriptions/acknowledged', { ...ANY_PARAMS, notifications: 'keep' }],
    ['notifications/tasks/status', TASK],
    ['notifications/tasks', { ...TASK, result: result('tasks/result'), error: errorShape() }],
  ]),
};

/** Of every result. */
const ANY_RESULT: Members = {
  ...TASK,
  resultType: 'word',
  requestState: 'keep',
  nextCursor: 'keep',
  cacheScope: 'word',
  task: object(TASK),
};
const LISTED: Members = { ...DESCRIBED, name: 'keep', mimeType: 'keep', size: 'word' };

function resultMembers(method: string): Members {
  switch (method) {
    case 'tools/call':
      return { content: blocks, structuredContent: 'redact', isError: 'word' };
    case 'prompts/get':
      return { description: 'redact', messages: MESSAGES };
    case 'resources/read':
      return { contents: list(CONTENTS) };
    case 'completion/complete':
      return { completion: object({ values: 'redact', total: 'word', hasMore: 'word' }) };
    case 'resources/list':
      return { resources: list(object({ ...LISTED, uri: 'keep' })) };
    case 'resources/templates/list':
      return { resourceTemplates: list(object({ ...LISTED, uriTemplate: 'keep' })) };
    case 'prompts/list':
      return { prompts: list(object({ ...LISTED, arguments: list(object({ ...DESCRIBED, name: 'keep', required: 'word' })) })) };
    case 'tools/list':
      return { tools: 'keep' };
    case 'initialize':
      return { protocolVersion: 'keep', capabilities: 'keep', serverInfo: INFO, instructions: 'redact' };
    case 'server/discover':
      return { supportedVersions: 'keep', capabilities: 'keep', serverInfo: INFO, instructions: 'redact' };
    case 'tasks/list':
      return { tasks: list(object(TASK)) };
    case 'tasks/result':
      return { ...resultMembers('tools/call'), ...resultMembers('prompts/get'), ...resultMembers('resources/read') };
    case 'tasks/get':
    case 'tasks/update':
    case 'tasks/cancel':
      return { result: result('tasks/result'), error: errorShape() };
    default:
      return {};
  }
}

/** Of what a server answers. Called when there is a value, so that shapes can name one another. */
function result(method: string): Shape {
  return () => object({ ...ANY_RESULT, ...resultMembers(method) });
}

/** Shape of the params of a request or notification. */
export function paramsShape(dir: Direction, method: string): Shape {
  return object(REQUESTS[dir].get(method) ?? ANY_PARAMS);
}

/** Shape of the result that answers a request; `dir`: the way that the answer takes. */
export function resultShape(dir: Direction, method: string): Shape {
  if (dir === 's2c') return result(method);
  if (method === 'tasks/list') return object({ ...ANY_RESULT, tasks: list(object(TASK)) });
  if (method.startsWith('tasks/') && method !== 'tasks/result') return object(ANY_RESULT);
  return CLIENT_ANSWER;
}

/** Shape of an error: its code stays, and where it sends the client to open a URL. */
export function errorShape(): Shape {
  return object({ code: 'keep', message: 'redact', data: object({ elicitations: list(object(ELICITATION)) }) });
}
