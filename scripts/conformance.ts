// SPDX-License-Identifier: Apache-2.0
/**
 * Proves a gateway with the public MCP conformance suite: what the reference server and client score directly they have
 * to score through the gateway, check by check. Other proxies are measured beside it.
 *
 *   node scripts/conformance.ts [--only server|client|stdio] [--set 2025-11-25|2026-07-28] [--no-peers]
 *                               [--gateway mcp-bastion|pipe] [--json FILE] [--readme] [--keep]
 *
 * --readme puts the tables into README.md. --gateway pipe puts a byte pipe into the gateway's place over HTTP, to try the bench itself. --keep leaves the logs.
 * Exit code: 0 as direct; 1 differs, with the checks named; 2 usage; 3 could not be run.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench } from './conformance/bench.ts';
import type { Options } from './conformance/bench.ts';
import { killAllAtExit } from './conformance/processes.ts';
import { intoReadme } from './readme.ts';

const USAGE = 'usage: conformance [--only server|client|stdio] [--set 2025-11-25|2026-07-28] [--no-peers] [--gateway mcp-bastion|pipe] [--json FILE] [--readme] [--keep]';

function usage(problem: string): never {
  process.stderr.write(`conformance: error: ${problem}\n${USAGE}\n`);
  process.exit(2);
}

function oneOf<Name extends string>(option: string, value: string | undefined, names: readonly Name[]): Name | undefined {
  if (value === undefined) return undefined;
  return names.find((name) => name === value) ?? usage(`--${option} has to be ${names.join(' or ')}`);
}

function readOptions(): Options & { json: string | undefined; keep: boolean; readme: boolean } {
  const strings = { only: { type: 'string' }, set: { type: 'string' }, gateway: { type: 'string' }, json: { type: 'string' } } as const;
  const flags = { peers: { type: 'boolean', default: true }, keep: { type: 'boolean', default: false }, readme: { type: 'boolean', default: false } } as const;
  let values;
  try {
    ({ values } = parseArgs({ options: { ...strings, ...flags }, allowNegative: true }));
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
  const only = oneOf('only', values.only, ['server', 'client', 'stdio'] as const);
  const set = oneOf('set', values.set, ['2025-11-25', '2026-07-28'] as const);
  const through = oneOf('gateway', values.gateway, ['mcp-bastion', 'pipe'] as const) ?? 'mcp-bastion';
  const legs = (['server', 'client', 'stdio'] as const).filter((leg) => leg === (only ?? leg) && (leg !== 'stdio' || through !== 'pipe'));
  if (legs.length === 0) usage('a byte pipe has no stdio side');
  return {
    legs,
    revisions: set === undefined ? ['2025-11-25', '2026-07-28'] : [set],
    through,
    peers: values.peers,
    json: values.json,
    keep: values.keep,
    readme: values.readme,
  };
}

killAllAtExit();
const options = readOptions();
const peers = spawnSync(process.execPath, [join(import.meta.dirname, 'peers.mjs')], { stdio: 'inherit' });
if (peers.status !== 0) process.exit(3);
const folder = mkdtempSync(join(tmpdir(), 'bastion-conf-'));
try {
  const bench = new Bench(options, folder);
  await bench.run();
  process.stdout.write(bench.report());
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(bench.json(), null, 2)}\n`);
  if (options.readme) intoReadme('conformance', bench.tables());
  process.exitCode = bench.exitCode;
} catch (error) {
  process.stderr.write(`conformance: error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 3;
} finally {
  if (options.keep) process.stderr.write(`conformance: results and logs are in ${folder}\n`);
  else rmSync(folder, { recursive: true, force: true });
}
