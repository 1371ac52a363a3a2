// SPDX-License-Identifier: Apache-2.0
/**
 * The keychain against a real Secret Service: gnome-keyring on a D-Bus of its own, over several logins, unlocked, locked and
 * absent. scripts/keyring.mjs installs it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { knownKeysPath } from '../../enclave/audit/known-keys.ts';
import { launcher, root, scratch } from '../harness/gateway.ts';

const folder = scratch();
const stateDir = join(folder, 'state');
const policy = join(folder, 'policy.yaml');
const writer = join(root, 'test', 'harness', 'keychain-writer.ts');
writeFileSync(policy, 'version: 1\naudit: {key: keychain}\n');
for (const name of ['home', 'run']) mkdirSync(join(folder, name), { mode: 0o700 });
const env = { PATH: process.env['PATH'] ?? '', HOME: join(folder, 'home'), XDG_RUNTIME_DIR: join(folder, 'run'), NODE: process.execPath };

/** A bus without any service to start: nothing answers for the keychain. */
const bareBus = join(folder, 'bus.conf');
writeFileSync(
  bareBus,
  `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:dir=${join(folder, 'run')}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`,
);

const UNLOCKED = 'printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1';
const LOCKED = 'gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1';
const WRITE = `"$NODE" ${writer} ${stateDir}`;

/** Runs shell lines in a login of their own; gives what they printed. */
async function login(lines: readonly string[], busArgs: readonly string[] = []): Promise<string> {
  const child = spawn('dbus-run-session', [...busArgs, '--', 'sh', '-c', lines.join('\n')], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  const code = await new Promise((resolve) => child.on('exit', resolve));
  // The daemon outlives its bus by a moment: it belongs to the group of this login.
  try {
    process.kill(-(child.pid ?? 0), 'SIGKILL');
  } catch {
    // All of it is gone already.
  }
  assert.equal(code, 0, stderr);
  return stdout;
}

const keyOf = (said: string): string => /key ([0-9a-f]{64})/.exec(said)?.[1] ?? said;

test('a key lives in the Secret Service over logins, is refused while it is locked, rotates, and is never made anew', async () => {
  assert.equal(await login([WRITE], ['--config-file', bareBus]), 'AUDIT_KEY the keychain cannot be used\n', 'without a Secret Service');
  assert.equal(await login([`env -u DBUS_SESSION_BUS_ADDRESS ${WRITE}`]), 'AUDIT_KEY the keychain cannot be used\n', 'without a bus');
  assert(!readdirSync(stateDir).includes('keys.json'));

  // Four windows of one client start at once, on the first day.
  const first = (await login([UNLOCKED, ...Array.from({ length: 4 }, () => `${WRITE} &`), 'wait'])).trim().split('\n');
  const fingerprint = keyOf(first[0] ?? '');
  assert.match(fingerprint, /^[0-9a-f]{64}$/);
  assert.deepEqual(new Set(first), new Set([`key ${fingerprint} epoch 1`]));
  const known = readFileSync(knownKeysPath(stateDir), 'utf8');
  assert.equal(known, `{"keys":{"keychain:mcp-bastion/mcp-bastion-audit":"${fingerprint}"},"version":1}\n`);

  assert.equal(await login([LOCKED, WRITE, WRITE]), 'AUDIT_KEY the keychain is locked\n'.repeat(2), 'the second attempt is not answered by another keyring');
  assert.equal(readFileSync(knownKeysPath(stateDir), 'utf8'), known);

  const cli = (...args: readonly string[]): string => `"$NODE" ${launcher} ${args.join(' ')}`;
  const keys = (command: string): string => cli('keys', command, '--policy', policy, '--state', stateDir);
  const third = await login([UNLOCKED, WRITE, `${keys('rotate')} 2>/dev/null`, WRITE, keys('show'), `${cli('inspect-log', '--verify', '--state', stateDir)} | head -1`]);
  const [before = '', ...after] = third.split('\n');
  assert.equal(before, `key ${fingerprint} epoch 1`);
  const rotated = keyOf(after.find((line) => line.startsWith('key ')) ?? '');
  assert.notEqual(rotated, fingerprint);
  assert(after.includes(`key ${rotated} epoch 2`) && after.includes(`fingerprint: ${rotated}`) && after.includes(`known:       ${rotated}`), third);
  assert(after.includes('chain: OK (ok)'), third);

  const lost = await login([UNLOCKED, `${WRITE} remove`, WRITE, WRITE]);
  const gone = 'AUDIT_KEY the audit key is gone from keychain:mcp-bastion/mcp-bastion-audit\n';
  assert.equal(lost, `removed\n${gone}${gone}`);
});
