// SPDX-License-Identifier: Apache-2.0
/**
 * A process that writes a log until it is killed, for tests. Arguments: state directory, and `slot` (print the slot, wait
 * for the end of standard input, close), `run` (append without end, print the index of each durable row) or `fill` (append
 * until a row is refused, close, print what happened).
 */
import { join } from 'node:path';
import { openAuditLog } from '../../enclave/audit/log.ts';
import { Unavailable } from '../../shared/errors.ts';
import { BOOT, row } from './logs.ts';

const [stateDir = '', mode = ''] = process.argv.slice(2);

const mono = (): number => Math.floor(performance.now() * 1000);

const log = await openAuditLog({
  dir: null,
  stateDir,
  server: 'files',
  key: mode === 'slot' ? { kind: 'ephemeral' } : { kind: 'file', path: join(stateDir, 'keys', 'audit.seed') },
  boot: BOOT,
  payload: 'redacted',
  signature: 'per-commit',
  scrubPatterns: [],
  wall: Date.now(),
  mono: mono(),
});

async function lane(at: number): Promise<never> {
  for (let n = 0; ; n += 1) {
    const receipt = await log.append({ ...row(0, `{"lane":${at},"n":${n}}`), wall: Date.now(), mono: mono() });
    process.stdout.write(`${receipt.idx} ${receipt.leaf}\n`);
  }
}

if (mode === 'slot') {
  process.stdout.write(`${log.slot}\n`);
  process.stdin.resume();
  process.stdin.on('end', () => void log.close());
} else if (mode === 'fill') {
  let rows = 0;
  const codes: string[] = [];
  const code = (error: unknown): string => (error instanceof Unavailable ? error.code : String(error));
  while (codes.length === 0) {
    const group = await Promise.allSettled(Array.from({ length: 8 }, () => log.append({ ...row(0, `{"a":"${'x'.repeat(20_000)}"}`), wall: Date.now(), mono: mono() })));
    for (const outcome of group) {
      if (outcome.status === 'fulfilled') rows += 1;
      else codes.push(code(outcome.reason));
    }
  }
  const available = log.available;
  const after = await log.append(row(1)).then(() => 'written', code);
  await log.close();
  process.stdout.write(JSON.stringify({ rows, codes, available, after }));
} else {
  process.stdout.write('ready\n');
  await Promise.all(Array.from({ length: 4 }, (_, at) => lane(at)));
}
