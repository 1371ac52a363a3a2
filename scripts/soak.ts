// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps the gateway busy: hundreds of clients of both eras with streams that stay open, in front of a server that is
 * killed and started again all the while. Each client has a canary, so that one message in the wrong place shows; each
 * call has to get exactly one answer; memory and connections have to stay what they were.
 *
 *   node scripts/soak.ts [--seconds 120] [--streams 500] [--sessions 200] [--kills 20] [--rate 60] [--json FILE] [--keep]
 *
 * --streams counts one stream for each session, the others are subscriptions of 2026-07-28. --keep leaves the gateway's
 * log in place. All traffic is on loopback. Exit code: 0 sound; 1 not, with the reasons; 2 usage; 3 could not be run.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { jsonOf, problemsOf, tableOf } from './soak/report.ts';
import { soak } from './soak/run.ts';

const USAGE = 'usage: soak [--seconds N] [--streams N] [--sessions N] [--kills N] [--rate N] [--json FILE] [--keep]';

/** Bounds of what one run may be asked for: one machine has to carry clients, gateway and server. */
const SECONDS_MAX = 3600;
const STREAMS_MAX = 2000;
const KILLS_MAX = 500;
const RATE_MAX = 1000;

function usage(problem: string): never {
  process.stderr.write(`soak: error: ${problem}\n${USAGE}\n`);
  process.exit(2);
}

function whole(name: string, text: string | undefined, ifNone: number, min: number, max: number): number {
  if (text === undefined) return ifNone;
  const value = Number(text);
  return Number.isInteger(value) && value >= min && value <= max ? value : usage(`--${name} has to be ${min} to ${max}`);
}

function readOptions() {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({ options: { seconds: text, streams: text, sessions: text, kills: text, rate: text, json: text, keep: { type: 'boolean' } } }).values;
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

const values = readOptions();
const streams = whole('streams', values.streams, 500, 1, STREAMS_MAX);
const options = {
  seconds: whole('seconds', values.seconds, 120, 1, SECONDS_MAX),
  streams,
  sessions: whole('sessions', values.sessions, Math.min(200, streams), 0, streams),
  kills: whole('kills', values.kills, 20, 0, KILLS_MAX),
  rate: whole('rate', values.rate, 60, 1, RATE_MAX),
};
const folder = mkdtempSync(join(tmpdir(), 'mcp-bastion-soak-'));
try {
  const result = await soak({ ...options, folder, say: (line) => process.stderr.write(`soak: ${line}\n`) });
  process.stdout.write(tableOf(result));
  for (const line of [...result.tally.violations, ...result.log.violations.slice(0, 40), ...result.faults.slice(0, 40)]) process.stderr.write(`soak: ${line}\n`);
  const problems = problemsOf(result);
  for (const problem of problems) process.stdout.write(`not sound: ${problem}\n`);
  if (problems.length === 0) process.stdout.write('sound\n');
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(jsonOf(result), null, 2)}\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} catch (error) {
  process.stderr.write(`soak: error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 3;
} finally {
  if (values.keep === true) process.stderr.write(`soak: the log is in ${folder}\n`);
  else rmSync(folder, { recursive: true, force: true });
}
