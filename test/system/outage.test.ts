// SPDX-License-Identifier: Apache-2.0
/**
 * A disk that fills up under the log, for real: a small file system of its own. Calls are refused, the results of those that
 * were admitted are recorded in the room that was held back, and nothing is acknowledged that is not there.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import Database from 'better-sqlite3';
import { segmentPath } from '../../enclave/audit/files.ts';
import { ALLOW_ALL, Gateway, scratch } from '../harness/gateway.ts';
import { failures, verifyDir } from '../harness/logs.ts';
import { Outage } from '../harness/outage.ts';
import { childrenOf } from '../harness/processes.ts';

/** A process in a mount namespace of its own, in which a folder is a file system of so many mebibytes. */
function small(folder: string, mebibytes: number): string[] {
  return ['unshare', '-Urm', 'sh', '-c', `mount -t tmpfs -o size=${mebibytes}m tmpfs "$1" && shift && exec "$@"`, 'sh', folder];
}

function rows(dir: string): Record<string, unknown>[] {
  const db = new Database(segmentPath(dir, 1), { readonly: true });
  const found = db.prepare('SELECT body FROM entry ORDER BY idx').pluck().all() as string[];
  db.close();
  return found.map((body) => JSON.parse(body) as Record<string, unknown>);
}

test('a full disk refuses calls, keeps the results of admitted ones, and goes on with a gap row when there is room', async () => {
  const folder = scratch();
  const stateDir = join(folder, 'state');
  mkdirSync(stateDir);
  const writer = await new Outage(stateDir, 4 * 1024 * 1024, small(stateDir, 24)).started();
  assert.equal((await writer.ask('calls 20')).answer.done, 20);
  await writer.ask('ballast');
  let { answer, available, ready } = await writer.ask('calls 200');
  let admitted = 20 + answer.done;
  let refused = answer.refused;
  while (answer.refused === 0) {
    ({ answer, available, ready } = await writer.ask('calls 200'));
    admitted += answer.done;
    refused += answer.refused;
  }
  assert.deepEqual([answer.codes, available, ready], [['AUDIT_UNAVAILABLE'], true, false]);
  const results = await writer.ask('results');
  assert.deepEqual(results.answer, { done: admitted, refused: 0, codes: [] });
  assert.equal((await writer.ask('calls 3')).answer.done, 0, 'room for results is none for calls');
  await writer.ask('free');
  await writer.ask('ready');
  assert.equal((await writer.ask('calls 5')).answer.done, 5);
  const copy = join(folder, 'copy');
  await writer.ask(`copy ${copy}`);
  await writer.ask('close');
  const found = rows(copy);
  assert.equal(found.filter(({ kind }) => kind === 'result').length, admitted);
  assert.equal(found.filter(({ kind }) => kind === 'call').length, admitted + 5);
  const gap = found.find(({ kind }) => kind === 'gap');
  assert.deepEqual([gap?.['reason'], gap?.['rejected']], ['full', refused + 3]);
  assert.deepEqual(failures(verifyDir(copy)), []);
});

test('a gateway on a full disk forwards no call that has no row', async () => {
  const folder = scratch();
  const policy = `${ALLOW_ALL}audit: {key: file, key_file: audit.seed}\n`;
  const script = {
    'tools/list': ['{"jsonrpc":"2.0","id":$ID,"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}'],
    'tools/call': ['{"jsonrpc":"2.0","id":$ID,"result":{"content":[]}}'],
  };
  writeFileSync(join(folder, 'witness'), '');
  const gateway = new Gateway({ folder, policy, script });
  await gateway.initialize();
  // The server and the launcher are not limited: only the log cannot grow.
  for (const pid of childrenOf(gateway.process.pid ?? 0)) spawnSync('prlimit', ['--pid', String(pid), `--fsize=${2 * 1024 * 1024}:`]);
  let refused = 0;
  for (let id = 1; id < 3000 && refused < 20; id += 1) {
    const reply = await gateway.ask(id, 'tools/call', { name: 't', arguments: { text: 'z'.repeat(20_000) } });
    if (reply.error !== undefined) refused += 1;
  }
  assert.equal(refused, 20, 'the disk did fill up');
  await gateway.close();
  const recorded = new Set(gateway.rows().filter((row) => row['kind'] === 'call').map((row) => row['rpc']));
  const reached = gateway.witness().flatMap((line) => /"id":(\d+),"method":"tools\/call"/.exec(line)?.[1] ?? []);
  assert(reached.length > 10);
  assert.deepEqual(reached.filter((id) => !recorded.has(id)), []);
});
