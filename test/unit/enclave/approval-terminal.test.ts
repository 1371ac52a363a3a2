// SPDX-License-Identifier: Apache-2.0
/** The passphrase in a real terminal. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readKeyFile, unlock } from '../../../enclave/host/approver-key.ts';
import { launcher } from '../../harness/gateway.ts';
import { typeAt } from '../../harness/approval-pty.ts';

const root = mkdtempSync(join(tmpdir(), 'pty-'));
after(() => rmSync(root, { recursive: true, force: true }));
const folder = (): string => mkdtempSync(join(root, 'cwd-'));
const make = [process.execPath, launcher, 'approver', 'new', '--name', 'alice'];
const FIRST = 'new passphrase for alice: ';
const SECOND = 'the same again: ';

test('a passphrase is asked for twice, and never shown', async () => {
  const cwd = folder();
  const { code, screen } = await typeAt(make, [[FIRST, 'correct horse\r'], [SECOND, 'correct horse\r']], { cwd });
  assert.equal(code, 0);
  const key = readKeyFile(join(cwd, 'alice.approver.json'));
  assert.equal(
    screen,
    `${FIRST}\n${SECOND}\nalice: 'ed25519:${Buffer.from(key.publicKey).toString('base64')}'\nwrote alice.approver.json\nnext: put the line above into the policy, below approval.approvers\n`,
  );
  assert(await unlock(key, Buffer.from('correct horse')));
});

test('keys that edit a line work, also on letters of several bytes, and so does typing ahead', async () => {
  const cwd = folder();
  const { code } = await typeAt(make, [[FIRST, 'wrong\u0015corröct\u007f\u007f\u007fect horsé\u007fé\rcorrect horsé\r']], { cwd });
  assert.equal(code, 0);
  assert(await unlock(readKeyFile(join(cwd, 'alice.approver.json')), Buffer.from('correct horsé')));
});

test('the prompt is in the terminal, wherever the output goes, and standard input is not asked', async () => {
  const cwd = folder();
  writeFileSync(join(cwd, 'in'), 'from a program\nfrom a program\n');
  const { code, screen } = await typeAt(['sh', '-c', `exec '${process.execPath}' '${launcher}' approver new --name alice <in >out 2>err`], [[FIRST, 'correct horse\n'], [SECOND, 'correct horse\n']], { cwd });
  assert.equal(code, 0);
  assert.equal(screen, `${FIRST}\n${SECOND}\n`);
  assert.match(readFileSync(join(cwd, 'out'), 'utf8'), /^alice: 'ed25519:[A-Za-z0-9+/=]{44}'\n$/);
  assert(await unlock(readKeyFile(join(cwd, 'alice.approver.json')), Buffer.from('correct horse')));
});

test('Ctrl-C at the prompt ends the command, and the terminal echoes again', async () => {
  const cwd = folder();
  const script = `'${process.execPath}' '${launcher}' approver new --name alice; echo "exit $?"; stty -a | grep -o ' -\\?echo '`;
  const { screen } = await typeAt(['sh', '-c', script], [[FIRST, 'secret\u0003']], { cwd });
  assert.match(screen, /exit 130\n echo \n$/);
  assert.doesNotMatch(screen, /secret/);
  assert.equal(existsSync(join(cwd, 'alice.approver.json')), false);
});

interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs it in a session of its own, which has no controlling terminal. */
function detached(args: readonly string[], input: string, cwd: string): Promise<Run> {
  return new Promise((resolve) => {
    const [file = '', ...words] = make;
    const child = spawn(file, [...words, ...args], { cwd, detached: true });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.stdin.on('error', () => undefined);
    child.on('close', (status) => resolve({ status, out, err }));
    child.stdin.end(input);
  });
}

test('without a terminal the command refuses, unless it is told where to read', async () => {
  const cwd = folder();
  const run = (args: readonly string[], input: string): Promise<Run> => detached(args, input, cwd);
  const refused = await run([], 'correct horse\ncorrect horse\n');
  assert.deepEqual([refused.status, refused.out, refused.err], [3, '', 'approver: error: there is no terminal to ask for the passphrase\nhint: run it in a terminal, or give --passphrase-fd N\n']);
  assert.equal((await run(['--passphrase-fd', '0'], 'short\n')).status, 3);
  assert.equal((await run(['--passphrase-fd', '0'], `${'x'.repeat(2000)}\n`)).status, 3);
  assert.equal((await run(['--passphrase-fd', '9'], 'correct horse\n')).status, 3);
  assert.equal(existsSync(join(cwd, 'alice.approver.json')), false);
  const made = await run(['--passphrase-fd', '0'], 'correct horse\r\nnot this\n');
  assert.equal(made.status, 0);
  assert.doesNotMatch(made.out + made.err, /correct|not this/);
});
