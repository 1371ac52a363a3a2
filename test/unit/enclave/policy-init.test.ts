// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { initPolicy } from '../../../enclave/host/init.ts';
import { STARTER_POLICY } from '../../../enclave/host/starter.ts';
import { loadPolicy } from '../../../enclave/policy/compile.ts';
import { parsePolicy } from '../../../enclave/policy/document.ts';
import { POLICY_KEYS } from '../../../enclave/policy/schema.ts';
import { Unavailable, Usage } from '../../../shared/errors.ts';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function init(cwd: string, ...args: string[]): Promise<Ran> {
  const said = { stdout: '', stderr: '' };
  const stdout = { write: (text: string): void => void (said.stdout += text) };
  const stderr = { write: (text: string): void => void (said.stderr += text) };
  const code = await initPolicy(args, { stdout, stderr, cwd });
  return { code, ...said };
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bastion-init-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('init writes the starter policy to standard output, and nothing else there', async () => {
  assert.deepEqual(await init('/'), { code: 0, stdout: STARTER_POLICY, stderr: '' });
  assert.deepEqual(await init('/', '-o', '-'), { code: 0, stdout: STARTER_POLICY, stderr: '' });
});

test('init -o writes a file in the working directory and says what comes next', async () => {
  await inFolder(async (folder) => {
    assert.deepEqual(await init(folder, '-o', 'policy.yaml'), {
      code: 0,
      stdout: '',
      stderr: 'wrote policy.yaml\nnext: mcp-bastion up --policy policy.yaml -- COMMAND\n',
    });
    assert.equal(await readFile(join(folder, 'policy.yaml'), 'utf8'), STARTER_POLICY);
    assert.deepEqual(await readdir(folder), ['policy.yaml']);
  });
});

test('init overwrites nothing unless it is told to, not even through a link', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'policy.yaml');
    await writeFile(path, 'mine');
    await symlink(join(folder, 'elsewhere'), join(folder, 'link.yaml'));
    for (const name of ['policy.yaml', 'link.yaml']) {
      await assert.rejects(init(folder, '--output', name), (error: unknown) => {
        assert.ok(error instanceof Unavailable);
        assert.equal(error.code, 'FILE_EXISTS');
        assert.equal(error.message, 'the file is there already');
        assert.equal(error.hint, 'choose another name, or overwrite it with --force');
        return true;
      });
    }
    assert.equal(await readFile(path, 'utf8'), 'mine');
    assert.deepEqual((await readdir(folder)).sort(), ['link.yaml', 'policy.yaml']);
    await init(folder, '-o', 'policy.yaml', '--force');
    assert.equal(await readFile(path, 'utf8'), STARTER_POLICY);
  });
});

test('init says what is wrong with its arguments or its target', async () => {
  for (const args of [['--what'], ['policy.yaml'], ['-o']]) {
    await assert.rejects(init('/', ...args), (error: unknown) => error instanceof Usage && error.code === 'USAGE');
  }
  await assert.rejects(init('/nonexistent', '-o', 'x'), (error: unknown) => error instanceof Unavailable && error.code === 'FILE_UNREADABLE');
  assert.match((await init('/', '--help')).stdout, /^usage: mcp-bastion init \[-o FILE\] \[--force\]\n/);
});

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

test('the starter policy is valid, denies shells and nothing harmless', async () => {
  const policy = await loadPolicy(encode(STARTER_POLICY));
  assert.equal(policy.decideTool({ server: 'any', tool: 'shell.exec', soleServer: true, principal: 'local', args: {} }).kind, 'deny');
  for (const tool of ['echo', 'read_file', 'write_file', 'list_directory', 'create_entities', 'delete_relations', 'get-sum', 'shellfish']) {
    assert.deepEqual(policy.decideTool({ server: 'files', tool: tool, soleServer: true, principal: 'local', args: {} }), { kind: 'allow', rule: null, reason: 'no rule matched', mark: null }, tool);
  }
  for (const method of ['tools/list', 'prompts/get', 'resources/read', 'completion/complete', 'roots/list', 'elicitation/create']) {
    assert.equal(policy.decideMethod({ server: 'any', principal: 'local', direction: 'c2s', method, params: undefined, known: true }).kind, 'allow', method);
  }
  assert.deepEqual(policy.audit.notices, []);
});

test('the starter policy shows every section, switched on or off', () => {
  for (const section of ['', 'tool_description_pinning', 'classifier']) {
    for (const key of POLICY_KEYS.get(section) ?? []) assert.match(STARTER_POLICY, new RegExp(`^#?[ -]*${key}:`, 'm'), key);
  }
});

test('each line that the starter policy has switched off is valid once it is switched on', () => {
  const empty = new Map([
    ['require_approval: []', 'require_approval:'],
    ['allow_tools: []', 'allow_tools:'],
    ['redact_args: []', 'redact_args:'],
    ['redact_results: []', 'redact_results:'],
    ['rules: []', 'rules:'],
    ['limits: []', 'limits:'],
    ['servers: {}', 'servers:'],
    ['#approval:', 'approval:'],
    ['methods: {}', 'methods:'],
    ['default: allow', 'default: deny'],
    ['  key: ephemeral', '  key: file'],
  ]);
  const switchedOn = STARTER_POLICY.split('\n').map((line) => empty.get(line) ?? line.replace(/^#(?= {2})/, ''));
  const document = parsePolicy(encode(switchedOn.join('\n')), 'starter');
  assert.deepEqual(document.allowTools, ['files.read_*']);
  assert.deepEqual(document.requireApproval, ['*.send_*']);
  assert.deepEqual(document.denyTools, ['shell.*', '*.delete_*']);
  assert.deepEqual(document.redactArgs.map(({ by }) => by), [
    { kind: 'pattern', pattern: '\\b[0-9]{3}-[0-9]{2}-[0-9]{4}\\b' },
    { kind: 'use', name: 'credentials' },
  ]);
  assert.deepEqual([document.rules.length, document.redactResults.length, document.limits.length], [1, 1, 1]);
  assert.deepEqual([...document.servers.keys(), ...document.approval.approvers.keys()], ['files', 'alice']);
  assert.equal(document.methods.length, 3);
  assert.equal(document.audit.keyFile, 'audit.seed');
});
