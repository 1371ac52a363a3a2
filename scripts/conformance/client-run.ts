// SPDX-License-Identifier: Apache-2.0
/**
 * What the suite starts for each client scenario: the reference client, straight to the suite's server or through a
 * gateway of its own on the same path.
 *
 *   BASTION_CONFORMANCE_{TURNSTILE,VIA,FOLDER}=... node client-run.ts URL
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Running, killAllAtExit } from './processes.ts';
import { REFERENCE_CLIENT, startThrough } from './targets.ts';
import { takeTurn } from './turnstile.ts';

/** More than the client gives itself. */
const CLIENT_MS_MAX = 100_000;

function setting(name: string): string {
  const value = process.env[`BASTION_CONFORMANCE_${name}`];
  if (value === undefined) throw new Error(`BASTION_CONFORMANCE_${name} is not set`);
  return value;
}

async function main(): Promise<number> {
  const server = new URL(process.argv.at(-1) ?? '');
  const turn = await takeTurn(setting('TURNSTILE'));
  const folder = mkdtempSync(join(setting('FOLDER'), 'client-'));
  const via = setting('VIA');
  let url = server.href;
  let gateway: Running | undefined;
  if (via === 'pipe' || via === 'mcp-bastion') {
    const { port, running } = await startThrough(via, { folder, name: via }, server.href);
    gateway = running;
    url = `http://localhost:${port}${server.pathname}${server.search}`;
  }
  const client = new Running({ argv: [process.execPath, REFERENCE_CLIENT, url], logFile: join(folder, 'client.log') });
  const code = await client.finish(CLIENT_MS_MAX);
  // The suite's servers wait for their connections to end, so that the gateway has to be gone before we are.
  await gateway?.stop();
  process.stderr.write(client.output());
  turn.destroy();
  return code ?? 1;
}

killAllAtExit();
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`client-run: error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
process.exit();
