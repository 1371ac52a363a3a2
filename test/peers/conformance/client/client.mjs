// SPDX-License-Identifier: Apache-2.0
/**
 * The client that the conformance suite drives, on the published SDK. The suite names the scenario and the revision in
 * the environment and gives the address as the last argument.
 *
 *   MCP_CONFORMANCE_SCENARIO=tools_call node client.mjs URL
 */
import { Connection } from './connection.mjs';
import { providerFor } from './oauth.mjs';

/** The suite kills only the shell that it started, so that this has to end by itself; long enough for a busy machine. */
const LIFE_MS_MAX = 90_000;

/** What one scenario wants the client to do, once it is connected. */
const scenarios = {
  initialize: async (connection) => {
    await connection.client.listTools();
  },
  tools_call: async (connection) => {
    await connection.client.listTools();
    await connection.client.callTool({ name: 'add_numbers', arguments: { a: 5, b: 3 } });
  },
  'elicitation-sep1034-client-defaults': async (connection) => {
    await connection.client.listTools();
    await connection.client.callTool({ name: 'test_client_elicitation_defaults', arguments: {} });
  },
  'sse-retry': async (connection) => {
    await connection.client.listTools();
    await connection.client.callTool({ name: 'test_reconnection', arguments: {} });
  },
  'request-metadata': async (connection) => {
    await connection.client.listTools();
  },
  'http-standard-headers': async (connection) => {
    const { client } = connection;
    const { tools } = await client.listTools();
    for (const { name } of tools) await client.callTool({ name, arguments: {} });
    const { resources } = await client.listResources();
    for (const { uri } of resources) await client.readResource({ uri });
    const { prompts } = await client.listPrompts();
    for (const { name } of prompts) await client.getPrompt({ name });
  },
  'http-custom-headers': async (connection, context) => {
    await connection.client.listTools();
    for (const call of context.toolCalls) await connection.client.callTool(call);
  },
  'http-invalid-tool-headers': async (connection) => {
    // The library leaves tools with broken header annotations off the list.
    const { tools } = await connection.client.listTools();
    for (const { name, inputSchema } of tools) {
      const names = Object.keys(inputSchema.properties ?? {});
      await connection.client.callTool({ name, arguments: Object.fromEntries(names.map((key) => [key, 'value'])) });
    }
  },
  'sep-2322-client-request-state': async (connection) => {
    const { client } = connection;
    await client.listTools();
    // The unrelated call runs while the other waits for its input.
    const waiting = client.callTool({ name: 'test_mrtr_echo_state', arguments: {} });
    await client.callTool({ name: 'test_mrtr_unrelated', arguments: {} });
    await waiting;
    await client.callTool({ name: 'test_mrtr_no_state', arguments: {} });
    // The library refuses a result without a type; the scenario only asks that nothing is retried.
    await client.callTool({ name: 'test_mrtr_no_result_type', arguments: {} }).catch(() => {});
  },
  'json-schema-ref-no-deref': async (connection) => {
    await connection.client.listTools();
  },
  'json-schema-2020-12-preservation': async (connection) => {
    const { tools } = await connection.client.listTools();
    const schema = tools.find((tool) => tool.name === 'json_schema_2020_12_tool')?.inputSchema;
    await connection.client.callTool({ name: 'json_schema_echo', arguments: { schema } });
  },
};

/** Every scenario of authorization: some of them refuse the listing, some the call, some the second listing. */
async function authorize(connection) {
  await connection.step((client) => client.listTools());
  await connection.step((client) => client.callTool({ name: 'test-tool', arguments: {} }));
}

async function main() {
  const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
  const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
  const isAuth = scenario.startsWith('auth/');
  const run = isAuth ? authorize : scenarios[scenario];
  if (run === undefined) throw new Error(`no such scenario: ${scenario}`);
  const connection = new Connection(new URL(process.argv.at(-1)), isAuth ? providerFor(scenario, context) : undefined);
  await connection.open();
  try {
    await run(connection, context);
  } finally {
    await connection.close();
  }
}

setTimeout(() => {
  process.stderr.write('conformance client: error: it took too long\n');
  process.exit(1);
}, LIFE_MS_MAX).unref();
try {
  await main();
} catch (error) {
  process.stderr.write(`conformance client: error: ${error.stack}\n`);
  process.exitCode = 1;
}
process.exit();
