// SPDX-License-Identifier: Apache-2.0
/**
 * Writes a log while its disk fails, for tests. Arguments: state directory, bytes of the reserve. Reads commands, a line
 * each, and answers each with a line of JSON: `calls N`, `results` (of all admitted calls), `ballast` (fill the disk),
 * `free` (undo that), `ready` (wait for it), `copy DIR`, `close`.
 */
import { closeSync, cpSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { openAuditLog } from '../../enclave/audit/log.ts';
import { Unavailable } from '../../shared/errors.ts';
import { BOOT, row } from './logs.ts';

const [stateDir = '', reserve = '0'] = process.argv.slice(2);
const times = (): { wall: number; mono: number } => ({ wall: Date.now(), mono: Math.floor(performance.now() * 1000) });
const ballast = join(stateDir, 'ballast');
const admitted: string[] = [];
let calls = 0;

const log = await openAuditLog({
  dir: null,
  stateDir,
  server: 'files',
  key: { kind: 'file', path: join(stateDir, 'keys', 'audit.seed') },
  boot: BOOT,
  payload: 'redacted',
  signature: 'per-commit',
  scrubPatterns: [],
  reserveBytes: Number(reserve),
  ...times(),
});

async function outcomes(work: readonly Promise<unknown>[]): Promise<{ done: number; refused: number; codes: string[] }> {
  const settled = await Promise.allSettled(work);
  const failed = settled.filter((outcome) => outcome.status === 'rejected').map(({ reason }: PromiseRejectedResult) => (reason instanceof Unavailable ? reason.code : String(reason)));
  return { done: settled.length - failed.length, refused: failed.length, codes: [...new Set(failed)] };
}

function call(): Promise<unknown> {
  calls += 1;
  const id = calls.toString(16).padStart(32, '0');
  const drafted = { ...row(0, `{"a":"${'x'.repeat(4000)}"}`, { call_id: id, decision: 'allow', rule: null, code: null }), ...times() };
  return log.append(drafted).then(() => admitted.push(id));
}

function result(id: string): Promise<unknown> {
  const fields = { kind: 'result', call_id: id, type: 'result', dir: 's2c', origin: 'server', decision: 'allow', rule: null, code: null, status: 'ok' } as const;
  return log.append({ ...row(0, `{"r":"${'y'.repeat(2000)}"}`, fields), ...times() });
}

function fill(): void {
  const file = openSync(ballast, 'a');
  for (const bytes of [65_536, 4096]) {
    try {
      for (;;) writeSync(file, Buffer.alloc(bytes));
    } catch {
      // The disk is full to so many bytes.
    }
  }
  closeSync(file);
}

async function act(command: string, argument: string): Promise<unknown> {
  switch (command) {
    case 'calls':
      return outcomes(Array.from({ length: Number(argument) }, call));
    case 'results':
      return outcomes(admitted.splice(0).map(result));
    case 'ballast':
      fill();
      return null;
    case 'free':
      rmSync(ballast, { force: true });
      return null;
    case 'ready':
      while (!log.ready) await wait(20);
      return null;
    case 'copy':
      cpSync(log.dir, argument, { recursive: true });
      return null;
    default:
      await log.close();
      return null;
  }
}

process.stdout.write('{}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [command = '', argument = ''] = line.split(' ');
  const answer = await act(command, argument);
  process.stdout.write(`${JSON.stringify({ answer, available: log.available, ready: log.ready })}\n`);
  if (command === 'close') break;
}
process.exit(0);
