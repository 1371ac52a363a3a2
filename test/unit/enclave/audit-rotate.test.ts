// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { KeyPlace } from '../../../enclave/audit/custody.ts';
import { openKey, placeOf } from '../../../enclave/audit/custody.ts';
import { LOCK_NAME } from '../../../enclave/audit/files.ts';
import type { AuditKey } from '../../../enclave/audit/key.ts';
import { findContinuation, signerOf } from '../../../enclave/audit/recover.ts';
import { rotateKey } from '../../../enclave/audit/rotate.ts';
import { logsRoot } from '../../../enclave/audit/slots.ts';
import { readTrust, trustPath } from '../../../enclave/audit/trust.ts';
import { LogWriter } from '../../../enclave/audit/writer.ts';
import { keysCommand } from '../../../enclave/host/keys.ts';
import { acquireExclusive } from '../../../enclave/store/sqlite.ts';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { fakeKeychain } from '../../harness/keychain.ts';
import { BOOT, failures, groups, key, NOW, row, verifyDir, writeLog } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-rotate-'));
after(() => rmSync(root, { recursive: true, force: true }));
const folder = (): string => mkdtempSync(join(root, 'r-'));

interface Scene {
  readonly stateDir: string;
  readonly place: KeyPlace;
  readonly dirs: readonly string[];
  readonly first: AuditKey;
}

/** Two logs of one key, and one of another. */
async function scene(kind: 'file' | 'keychain'): Promise<Scene> {
  const stateDir = folder();
  const source = kind === 'file' ? ({ kind, path: join(stateDir, 'keys', 'audit.seed') } as const) : ({ kind, name: 'k' } as const);
  const place = placeOf(source, { keychain: fakeKeychain().keychain, credentials: undefined });
  assert(place !== null);
  const first = await open(place, stateDir);
  const dirs = ['0', '1', '2'].map((slot) => join(logsRoot(stateDir), 'files', slot));
  for (const [at, dir] of dirs.entries()) {
    mkdirSync(dir, { recursive: true });
    writeLog(dir, { key: at === 2 ? key(9) : first, groups: groups(3, 2) });
  }
  mkdirSync(join(logsRoot(stateDir), 'files', '3'));
  return { stateDir, place, dirs: [...dirs, join(logsRoot(stateDir), 'files', '3')], first };
}

function open(place: KeyPlace, stateDir: string): Promise<AuditKey> {
  return openKey(place, { stateDir, wasUsed: () => false });
}

function rotate({ stateDir, dirs }: Scene, place: KeyPlace) {
  return rotateKey({ place, stateDir, dirs, session: '0123456789abcdef', now: () => NOW * 1000, progress: () => undefined });
}

for (const kind of ['file', 'keychain'] as const) {
  test(`${kind}: the old key signs over the new one in each of its logs, and the logs go on with the new one`, async () => {
    const made = await scene(kind);
    const { stateDir, place, dirs, first } = made;
    const done = await rotate(made, place);
    const second = await open(place, stateDir);
    assert.deepEqual(done, { from: first.fingerprint, to: second.fingerprint, logs: 2 });
    assert.notEqual(second.fingerprint, first.fingerprint);
    for (const dir of dirs.slice(0, 2)) {
      assert.equal(signerOf(dir)?.handedTo, second.fingerprint);
      assert.throws(() => writeLog(dir, { key: first, groups: [] }), /handed over to another key/, 'the old key is not used again');
      assert.throws(() => writeLog(dir, { key: key(5), groups: [] }), /handed over to another key/, 'nor a third one');
      const { log } = writeLog(dir, { key: second, groups: groups(2, 1) });
      // The trust file that an auditor kept knows the first key only.
      const report = verifyDir(dir, new Map([[log, new Set([first.fingerprint])]]));
      assert.deepEqual(failures(report), []);
      assert.deepEqual(report.segments.map(({ epoch, standing }) => [epoch, standing]), [[1, 'pinned'], [2, 'pinned']]);
      assert(readTrust(trustPath(stateDir))?.get(log)?.has(second.fingerprint));
    }
    assert.equal(signerOf(dirs[2] ?? '')?.handedTo, null, 'a log of another key is left alone');
    if (kind === 'file') assert.deepEqual(readdirSync(join(stateDir, 'keys')), ['audit.seed']);
  });

  test(`${kind}: a rotation that was cut off anywhere is finished by running it again, and no start happens between`, async () => {
    for (const step of ['createNext', 'promote', 'dropNext', 'load'] as const) {
      for (const before of [true, false]) {
        const made = await scene(kind);
        const { stateDir, place, dirs, first } = made;
        let loads = 0;
        const cut = async (work: () => Promise<AuditKey | null | void>): Promise<never> => {
          if (!before) await work();
          throw new Error('cut off');
        };
        const faulty: KeyPlace = { ...place, [step]: () => (step === 'load' && (loads += 1) < 2 ? place.load() : cut(() => place[step]())) };
        await assert.rejects(rotate(made, faulty), /cut off/);
        const what = `${step} ${before ? 'before' : 'after'}`;
        if ((await place.loadNext()) !== null) await assert.rejects(open(place, stateDir), /was not finished/, what);
        const again = await rotate(made, place);
        assert.notEqual(again.to, first.fingerprint, what);
        const now = await open(place, stateDir);
        for (const dir of dirs.slice(0, 2)) {
          writeLog(dir, { key: now, groups: groups(1, 1) });
          assert.deepEqual(failures(verifyDir(dir)), [], what);
        }
      }
    }
  });
}

test('a rotation is refused while a gateway writes one of the logs, and leaves nothing behind', async () => {
  const made = await scene('file');
  const lock = acquireExclusive(join(made.dirs[1] ?? '', LOCK_NAME));
  await assert.rejects(rotate(made, made.place), (error) => error instanceof Unavailable && error.code === 'AUDIT_LOCKED');
  lock.release();
  assert.equal(await made.place.loadNext(), null);
  assert.equal((await open(made.place, made.stateDir)).fingerprint, made.first.fingerprint);
  assert.equal(signerOf(made.dirs[0] ?? '')?.handedTo, null);
});

test('a key that was exchanged behind its back cannot name a successor', async () => {
  const made = await scene('file');
  rmSync(join(made.stateDir, 'keys', 'audit.seed'));
  writeFileSync(join(made.stateDir, 'keys', 'audit.seed'), new Uint8Array(32), { mode: 0o600 });
  await assert.rejects(rotate(made, made.place), /not the one that was there/);
  assert.equal(await made.place.loadNext(), null);
});

function handOver(writer: LogWriter, from: AuditKey, to: AuditKey): void {
  writer.attach();
  writer.commit([{ fields: { kind: 'rotate', session: 's', key: from.fingerprint, next: to.fingerprint }, payload: null, wall: NOW * 1000, mono: 0 }]);
  writer.anchor();
}

function writerOf(dir: string, used: AuditKey): LogWriter {
  const parts = { key: used, payload: 'none', scrubber: { json: () => null, text: () => null }, clock: () => 0 } as const;
  return new LogWriter(findContinuation(dir, used.fingerprint, null), parts);
}

test('a hand-over to another key than the one that goes on, or with rows behind it, fails the log', () => {
  const [one, two, three] = [key(1), key(2), key(3)];
  const continued = folder();
  writeLog(continued, { key: one, groups: [] });
  const writer = writerOf(continued, one);
  handOver(writer, one, two);
  writer.commit([row(1)]);
  writer.anchor();
  writer.close();
  assert.deepEqual(failures(verifyDir(continued)), ['ROTATION_INVALID']);

  const other = folder();
  const from = writeLog(other, { key: one, groups: [] });
  const place = findContinuation(other, three.fingerprint, null);
  const hander = writerOf(other, one);
  handOver(hander, one, two);
  const head = hander.head();
  hander.close();
  const thief = new LogWriter({ ...place, previous: head }, { key: three, payload: 'none', scrubber: { json: () => null, text: () => null }, clock: () => 0 });
  thief.boot(BOOT, NOW * 1000, 0);
  thief.close();
  const report = verifyDir(other, new Map([[from.log, new Set([one.fingerprint])]]));
  assert.deepEqual(failures(report), ['ROTATION_INVALID', 'KEY_UNKNOWN']);
});

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function keys(...args: string[]): Promise<Said> {
  let [stdout, stderr] = ['', ''];
  const io = {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    env: {},
    now: () => NOW * 1000,
  };
  const code = await keysCommand(args, io);
  return { code, stdout, stderr };
}

test('keys show, export-public and rotate say what they did, and nothing of the private key', async () => {
  const dir = folder();
  const policy = join(dir, 'policy.yaml');
  writeFileSync(policy, 'version: 1\naudit: {key: file, key_file: keys/audit.seed}\n');
  const where = ['--policy', policy, '--state', join(dir, 'state')];
  const empty = await keys('show', ...where);
  assert.deepEqual(empty, { code: 0, stdout: `custody:     file\nwhere:       file:${dir}/keys/audit.seed\n`, stderr: 'note: there is no key yet; the first start makes it\n' });
  await assert.rejects(keys('export-public', ...where), /the audit key is gone from/);
  const place = placeOf({ kind: 'file', path: join(dir, 'keys', 'audit.seed') });
  assert(place !== null);
  const made = await open(place, join(dir, 'state'));
  const log = join(logsRoot(join(dir, 'state')), 'files', '0');
  mkdirSync(log, { recursive: true });
  const { log: id } = writeLog(log, { key: made, groups: [] });
  const shown = await keys('show', '--json', ...where);
  assert.deepEqual(JSON.parse(shown.stdout), { schema: 'mcp-bastion/key/1', custody: 'file', where: `file:${dir}/keys/audit.seed`, fingerprint: made.fingerprint, known: made.fingerprint });
  const exported = await keys('export-public', ...where);
  assert.match(exported.stdout, new RegExp(`^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END PUBLIC KEY-----\n[^ ]+/${id}/1\\+[0-9a-f]{8}\\+[A-Za-z0-9+/=]+\n$`));
  const rotated = await keys('rotate', ...where);
  assert.equal(rotated.stderr, `handing over ${log}\n`);
  assert.match(rotated.stdout, new RegExp(`\nwas: +${made.fingerprint}\nfingerprint: [0-9a-f]{64}\nlogs: +1\n$`));
  const after = await keys('show', ...where);
  assert.equal(after.code, 0);
  const seed = readFileSync(join(dir, 'keys', 'audit.seed'));
  const said = [shown, exported, rotated, after].map(({ stdout, stderr }) => stdout + stderr).join('');
  for (const form of ['hex', 'base64', 'latin1'] as const) assert(!said.includes(seed.toString(form)));
  rmSync(join(dir, 'keys', 'audit.seed'));
  const lost = await keys('show', ...where);
  assert.equal(lost.code, 1);
  assert.match(lost.stderr, /^keys: error: the key that is known is gone\nhint: /);
});

test('keys refuses what it does not know', async () => {
  const dir = folder();
  const policy = join(dir, 'policy.yaml');
  writeFileSync(policy, 'version: 1\n');
  for (const args of [[], ['make'], ['show', 'rotate'], ['show', '--private'], ['show'], ['show', '--policy', policy, '--config', policy]]) {
    await assert.rejects(keys(...args), Usage, args.join(' '));
  }
  assert.match((await keys('show', '--policy', policy, '--state', dir)).stderr, /^note: each start makes a key of its own/);
  for (const command of ['rotate', 'export-public']) await assert.rejects(keys(command, '--policy', policy, '--state', dir), Unavailable);
});
