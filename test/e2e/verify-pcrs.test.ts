// SPDX-License-Identifier: Apache-2.0
/** Transcripts of `bastion-verify-pcrs`: what it prints, and the exit code that scripts go by. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { encodeCbor } from '../../shared/cbor/write.ts';
import { verifyPcrs } from '../../shared/cli/verify-pcrs.ts';
import { folder as vectors, positive } from '../harness/attestation-vectors.ts';
import { root, scratch } from '../harness/gateway.ts';
import { bootRegisters, bytes, certificatesOf, documentOf, makeHierarchy, map, pcrMap, sha384, statementFields } from '../harness/nitro.ts';

const launcher = join(root, 'shared', 'bin', 'bastion-verify-pcrs.mjs');
const G1 = '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b';

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

process.chdir(vectors);

/** Runs the command within this process, in the folder of the vectors. */
async function run(...args: readonly string[]): Promise<Run> {
  let [stdout, stderr] = ['', ''];
  const io = { stdout: { write: (text: string) => (stdout += text) }, stderr: { write: (text: string) => (stderr += text) }, now: () => Date.now() };
  const code = await verifyPcrs(args, io);
  return { code, stdout, stderr };
}

const veracruz = positive('veracruz');
const genuine = ['--document', veracruz.file, '--at', '2022-11-09T22:52:00Z'];
const pcrFlags = ['0', '1', '2'].flatMap((index) => [`--pcr${index}`, veracruz.pcrs[index] ?? '']);

const EVIDENCE = `ok           format       COSE_Sign1 with ES384, 4461 bytes
ok           document     16 PCRs, public_key null, user_data 32 bytes, nonce 32 bytes
ok           certificates 5, strict DER, P-384
ok           root         AWS Nitro Root-G1, SHA-256 ${G1}
ok           chain        5 certificates, each signed by the one before it
ok           validity     all certificates are valid at 2022-11-09T22:52:00.000Z (together 2022-11-09T22:51:57.000Z to 2022-11-10T01:52:00.000Z)
ok           signature    by the leaf's key, over the received bytes
ok           timestamp    the document says 2022-11-09T22:52:00.696Z
ok           identity     i-04fd167167daacf3b-enc01845e97d0b3eb4e in eu-west-1: PCR4 and certificates agree
ok           freshness    made 696 ms after the chosen time
ok           debug        PCR0, PCR1 and PCR2 are set: not a debug enclave
`;

test('a genuine document of which nothing more is known is not verified: exit 3', async () => {
  assert.deepEqual(await run(...genuine), {
    code: 3,
    stdout: `${EVIDENCE}not checked  release      no PCRs are given
not checked  documents    no configuration, policy and pins are given
not checked  nonce        no nonce is given: the document may be an old one
not checked  statement    user_data (32 bytes) is no statement of mcp-bastion
not checked  channel      a saved document shows no connection
verdict: NOT VERIFIED: nothing was found wrong, but this was not checked: release, documents, nonce, statement, channel
not checked: release, documents, nonce, statement, channel
`,
    stderr: '',
  });
});

test('a genuine document with the expected PCRs is verified, but for what was accepted: exit 0', async () => {
  assert.deepEqual(await run(...genuine, ...pcrFlags, '--accept-unchecked', 'documents,nonce,statement,channel'), {
    code: 0,
    stdout: `${EVIDENCE}ok           pcr0         22f9e1c949208da55eb01b9b9fc88f87454f77ba133f0d82320b509621c92482152a99d0a12335b97178c02d6f977d01
ok           pcr1         bcdf05fefccaa8e55bf2c8d6dee9e79bbff31e34bf28a99aa19e6b29c37ee80b214a414b7607236edf26fcb78654e63f
ok           pcr2         00943ea859140fed74e1025fe41aedb38780eae5656b3f9ef9b4b0e6111350315544db3efcda05725108f72b2ab141f7
not checked  documents    no configuration, policy and pins are given
not checked  nonce        no nonce is given: the document may be an old one
not checked  statement    user_data (32 bytes) is no statement of mcp-bastion
not checked  channel      a saved document shows no connection
verdict: VERIFIED, but for what was accepted as unchecked: documents, nonce, statement, channel
not checked: documents, nonce, statement, channel
`,
    stderr: '',
  });
});

test('other PCRs are refused with both values: exit 1', async () => {
  const other = 'ab'.repeat(48);
  const { code, stdout } = await run(...genuine, '--pcr0', other, ...pcrFlags.slice(2));
  assert.equal(code, 1);
  assert.ok(stdout.includes(`FAIL         pcr0         PCR_MISMATCH: expected ${other}; actual ${veracruz.pcrs['0'] ?? ''}\n`));
  assert.ok(stdout.includes('\nverdict: REFUSED (PCR_MISMATCH): a genuine document, but not what is accepted\nnot checked: documents, nonce, statement, channel\n'));
});

test('a debug enclave is refused, and with --allow-debug never verified', async () => {
  const entry = positive('evervault-beta-debug');
  const debug = ['--document', entry.file, '--at', entry.timestamp, '--accept-unchecked', 'release,documents,nonce,statement,channel'];
  const refused = await run(...debug);
  assert.equal(refused.code, 1);
  assert.ok(refused.stdout.includes('FAIL         debug        DEBUG_ENCLAVE: expected PCR0, PCR1 and PCR2 set; actual PCR0, PCR1, PCR2 zero or absent\n'));
  const allowed = await run(...debug, '--allow-debug');
  assert.equal(allowed.code, 3);
  assert.ok(allowed.stdout.includes('not checked  debug        INSECURE: a debug enclave, whose host reads its console; its code is not measured\n'));
  assert.ok(allowed.stdout.includes('verdict: NOT VERIFIED: nothing was found wrong, but this was not checked: debug\n'));
});

test('bad evidence is refused at the first step that fails: exit 1', async () => {
  const cases: readonly [readonly string[], string][] = [
    [['--document', 'negative/NEG-veracruz-bad-signature.cbor', '--at', '2022-11-09T22:52:00Z'], `FAIL         signature    SIGNATURE_INVALID: expected a signature by the leaf's key; actual it does not verify
verdict: REFUSED (SIGNATURE_INVALID): the document proves nothing
not checked: everything after the check that failed
`],
    [['--document', 'negative/NEG-oyster-custom-root.cbor', '--at', '2024-12-09T00:00:00Z'], 'verdict: REFUSED (ROOT_UNKNOWN): the document proves nothing\nnot checked: everything after the check that failed\n'],
    [['--document', veracruz.file, '--at', 'now'], 'verdict: REFUSED (CERTIFICATE_TIME): the document proves nothing\nnot checked: everything after the check that failed\n'],
    [['--document', 'README.md', '--at', 'now'], `FAIL         format       COSE_MALFORMED: expected a COSE_Sign1 with ES384; actual not strict CBOR: bytes follow the item (byte 1)
verdict: REFUSED (COSE_MALFORMED): the document proves nothing
not checked: everything after the check that failed
`],
  ];
  for (const [args, end] of cases) {
    const { code, stdout, stderr } = await run(...args);
    assert.deepEqual([code, stderr], [1, '']);
    assert.ok(stdout.endsWith(end), stdout);
  }
});

/** Files of a simulated enclave of ours: all that a customer would hold. */
function ours(): { readonly at: (name: string) => string; readonly args: readonly string[] } {
  const folder = scratch();
  const at = (name: string): string => join(folder, name);
  const texts = { config: utf8('servers: {}\n'), policy: utf8('version: 1\n'), pins: utf8('version: 1\n') };
  const digests = { config: sha384(texts.config), policy: sha384(texts.policy), pins: sha384(texts.pins) };
  const hierarchy = makeHierarchy();
  const certificates = certificatesOf(hierarchy);
  const registers = bootRegisters(digests);
  const nonce = new Uint8Array(16).fill(7);
  const statement = bytes(encodeCbor(map(...statementFields(digests, new Uint8Array(32)))));
  writeFileSync(at('doc.cbor'), documentOf(hierarchy, { pcrs: pcrMap(registers), nonce: bytes(nonce), user_data: statement }, certificates));
  writeFileSync(at('root.der'), certificates[0] ?? '');
  writeFileSync(at('root.pem'), new X509Certificate(certificates[0] ?? '').toString());
  for (const [name, text] of Object.entries(texts)) writeFileSync(at(name), text);
  const pcrs = Object.fromEntries([0, 1, 2].map((index) => [index, toHex(registers.get(index) ?? new Uint8Array())]));
  const documents = { config_sha384: toHex(digests.config), policy_sha384: toHex(digests.policy), pins_sha384: toHex(digests.pins) };
  writeFileSync(at('trust.json'), JSON.stringify({ version: 1, pcrs, documents }));
  writeFileSync(at('pcrs.json'), JSON.stringify({ version: 1, pcrs }));
  return { at, args: ['--document', at('doc.cbor'), '--at', '2026-03-01T12:00:00Z', '--nonce', '07'.repeat(16)] };
}

test('a simulated enclave of ours is verified with its own root and a trust file, all but the channel', async () => {
  const { at, args } = ours();
  for (const file of ['root.der', 'root.pem']) {
    const full = await run(...args, '--root', at(file), '--trust', at('trust.json'), '--accept-unchecked', 'channel');
    assert.equal(full.code, 0, full.stdout + full.stderr);
    assert.match(full.stdout, /^ok           root         a root given by hand, NOT OF AWS, SHA-256 [0-9a-f]{64}$/m);
    assert.ok(full.stdout.endsWith(`ok           documents    PCR16 is that of the configuration, policy and pins
ok           nonce        16 bytes, as asked for
ok           statement    release 0.1.0+0123abc, log example.org/mcp-bastion/0123/1-0011223344556677 at size 12
ok           flags        the boot self-test passed
not checked  channel      a saved document shows no connection
note: the root is not that of AWS: nothing says that this enclave is one
verdict: VERIFIED, but for what was accepted as unchecked: channel
not checked: channel
`), full.stdout);
  }
  assert.equal((await run(...args, '--root', at('root.der'), '--trust', at('trust.json'))).code, 3);
  const aws = await run(...args, '--trust', at('trust.json'), '--accept-unchecked', 'channel');
  assert.deepEqual([aws.code, aws.stdout.includes(`FAIL         root         ROOT_UNKNOWN: expected ${G1} (AWS Nitro Root-G1)`)], [1, true]);
});

test('the documents may be given as files, and have to be the right ones', async () => {
  const { at, args } = ours();
  const withFiles = (config: string): Promise<Run> => run(...args, '--root', at('root.der'), '--trust', at('pcrs.json'), '--config', at(config), '--policy', at('policy'), '--pins', at('pins'), '--accept-unchecked', 'channel');
  assert.equal((await withFiles('config')).code, 0);
  const wrong = await withFiles('policy');
  assert.deepEqual([wrong.code, wrong.stdout.includes('FAIL         documents    DOCUMENTS_MISMATCH: expected PCR16 ')], [1, true]);
});

test('another nonce is refused', async () => {
  const { at, args } = ours();
  const { code, stdout } = await run(...args.slice(0, -1), '08'.repeat(16), '--root', at('root.der'));
  assert.equal(code, 1);
  assert.ok(stdout.includes(`FAIL         nonce        NONCE_MISMATCH: expected ${'08'.repeat(16)}; actual ${'07'.repeat(16)}\n`));
});

test('--json prints one document of a stable form', async () => {
  const { code, stdout } = await run(...genuine, '--pcr0', 'ab'.repeat(48), ...pcrFlags.slice(2), '--json');
  assert.equal(code, 1);
  const json = JSON.parse(stdout);
  assert.deepEqual(Object.keys(json), ['schema', 'verdict', 'exit', 'code', 'family', 'at', 'checks', 'unchecked', 'accepted', 'notes', 'document']);
  const { checks, document, ...rest } = json;
  assert.deepEqual(rest, {
    schema: 'mcp-bastion/verify-pcrs/1', verdict: 'refused', exit: 1, code: 'PCR_MISMATCH', family: 'expectation', at: '2022-11-09T22:52:00.000Z',
    unchecked: ['documents', 'nonce', 'statement', 'channel'], accepted: [], notes: [],
  });
  assert.deepEqual(checks[0], { name: 'format', result: 'ok', detail: 'COSE_Sign1 with ES384, 4461 bytes' });
  assert.deepEqual(checks.find((check: { name: string }) => check.name === 'pcr0'), {
    name: 'pcr0', result: 'failed', family: 'expectation', code: 'PCR_MISMATCH', expected: 'ab'.repeat(48), actual: veracruz.pcrs['0'],
  });
  assert.deepEqual(checks.at(-1), { name: 'channel', result: 'not-checked', reason: 'a saved document shows no connection' });
  assert.deepEqual(Object.keys(document), ['module_id', 'timestamp', 'pcrs', 'public_key', 'user_data', 'nonce']);
  assert.deepEqual(document.pcrs, veracruz.pcrs);
  assert.equal(document.public_key, null);
  const bad = JSON.parse((await run('--document', 'README.md', '--at', 'now', '--json')).stdout);
  assert.deepEqual([bad.verdict, bad.family, bad.document], ['refused', 'evidence', null]);
});

const mistakes: readonly [string, readonly string[], string][] = [
  ['nothing', [], '--document is missing'],
  ['no time', ['--document', veracruz.file], '--at is missing'],
  ['a time without zone', ['--document', veracruz.file, '--at', '2022-11-09T22:52:00'], '--at is no time'],
  ['a day that there is not', ['--document', veracruz.file, '--at', '2022-02-31T00:00:00Z'], '--at is no time'],
  ['a URL', ['https://gateway.example'], 'a running enclave cannot be asked by this version'],
  ['a word too many', [...genuine, 'again'], 'there is a word that belongs to no option'],
  ['an unknown option', [...genuine, '--no-debug'], "Unknown option '--no-debug'"],
  ['an option twice', [...genuine, '--at', 'now'], '--at is given twice'],
  ['a switch twice', [...genuine, '--json', '--json'], '--json is given twice'],
  ['a short nonce', [...genuine, '--nonce', '00'.repeat(15)], '--nonce is not the hexadecimal of 16 to 1024 bytes'],
  ['a nonce in base64', [...genuine, '--nonce', 'AAECAwQFBgcICQoLDA0ODw=='], '--nonce is not the hexadecimal of 16 to 1024 bytes'],
  ['PCR0 alone', [...genuine, ...pcrFlags.slice(0, 2)], 'PCR0, PCR1 and PCR2 belong together: none of them alone names an image'],
  ['a zero PCR', [...genuine, '--pcr0', '0'.repeat(96), ...pcrFlags.slice(2)], 'PCR0 is all zeros, as debug enclaves have it'],
  ['a short PCR', [...genuine, '--pcr0', '0', ...pcrFlags.slice(2)], 'PCR0 is not 96 hexadecimal digits'],
  ['PCRs and a trust file', [...genuine, ...pcrFlags, '--trust', 'index.json'], 'PCRs are given beside --trust'],
  ['a configuration alone', [...genuine, '--config', 'README.md'], '--config, --policy and --pins belong together'],
  ['the signature as unchecked', [...genuine, '--accept-unchecked', 'nonce,signature'], '--accept-unchecked names something that has to be checked, or nothing known'],
  ['debug as unchecked', [...genuine, '--accept-unchecked', 'debug'], '--accept-unchecked names something that has to be checked, or nothing known'],
  ['an empty list', [...genuine, '--accept-unchecked', ''], '--accept-unchecked names something that has to be checked, or nothing known'],
  ['a trust file that is none', [...genuine, '--trust', 'index.json'], 'the trust file is wrong: it is no object with "version": 1'],
  ['a root that is none', [...genuine, '--root', 'negative/NEG-oyster-custom-root.cbor'], 'the root is no certificate that could be one: it is longer than 1024 bytes'],
];

test('a wrong command line is said to be one: exit 2', async () => {
  for (const [name, args, message] of mistakes) {
    const { code, stdout, stderr } = await run(...args);
    assert.deepEqual([code, stdout], [2, ''], name);
    assert.match(stderr, /^bastion-verify-pcrs: error: [^\n]+\nhint: [^\n]+\n$/, name);
    assert.equal(stderr.split('\n')[0], `bastion-verify-pcrs: error: ${message}`, name);
  }
  const { at, args } = ours();
  const both = await run(...args, '--trust', at('trust.json'), '--config', at('config'), '--policy', at('policy'), '--pins', at('pins'));
  assert.deepEqual([both.code, both.stderr.split('\n')[0]], [2, 'bastion-verify-pcrs: error: the trust file names documents already']);
});

test('a file that cannot be read is nothing that was checked: exit 3', async () => {
  const folder = scratch();
  writeFileSync(join(folder, 'long'), new Uint8Array(17 * 1024 + 1));
  assert.equal(spawnSync('/bin/sh', ['-c', 'mkfifo "$0"', join(folder, 'pipe')]).status, 0);
  const cases: readonly [string, string][] = [
    ['absent', 'ENOENT'],
    ['.', 'not a regular file'],
    ['long', 'longer than 17408 bytes'],
    ['pipe', 'not a regular file'],
  ];
  for (const [file, reason] of cases) {
    assert.deepEqual(await run('--document', join(folder, file), '--at', 'now'), {
      code: 3,
      stdout: '',
      stderr: `bastion-verify-pcrs: error: the file of --document cannot be read (${reason})\nhint: name a regular file that you may read\n`,
    });
  }
  assert.equal((await run(...genuine, '--trust', join(folder, 'absent'))).code, 3);
  assert.equal((await run(...genuine, '--root', join(folder, 'absent'))).code, 3);
});

test('help and version are data: exit 0', async () => {
  const help = await run('--help');
  assert.deepEqual([help.code, help.stderr, help.stdout.startsWith('usage: bastion-verify-pcrs --document FILE --at TIME|now [options]\n')], [0, '', true]);
  assert.match((await run('--version')).stdout, /^bastion-verify-pcrs \d+\.\d+\.\d+\n$/);
});

test('the executable works by its path, whatever Node comes first', async () => {
  const system = spawnSync('/bin/sh', ['-c', 'command -v node'], { encoding: 'utf8', env: { PATH: '/usr/local/bin:/usr/bin:/bin' } }).stdout.trim();
  const path = `${system === '' ? '' : `${join(system, '..')}:`}${process.env['PATH'] ?? ''}`;
  const { status, stdout, stderr } = spawnSync(launcher, genuine, { encoding: 'utf8', cwd: vectors, env: { ...process.env, PATH: path } });
  assert.deepEqual([status, stderr, stdout.startsWith(EVIDENCE)], [3, '', true]);
});

test('a launcher that cannot start its command has checked nothing: exit 3', async () => {
  const folder = scratch();
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'cli'));
  copyFileSync(launcher, join(folder, 'bin', 'bastion-verify-pcrs.mjs'));
  writeFileSync(join(folder, 'cli', 'bastion-verify-pcrs.js'), 'process.exitCode = 1;');
  const old = spawnSync('/bin/sh', ['-c', 'command -v node'], { encoding: 'utf8', env: { PATH: '/usr/local/bin:/usr/bin:/bin' } }).stdout.trim();
  for (const node of [old === '' ? process.execPath : old, process.execPath]) {
    const version = spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim();
    const { status, stderr } = spawnSync(node, [join(folder, 'bin', 'bastion-verify-pcrs.mjs')], { encoding: 'utf8' });
    const tooOld = `bastion-verify-pcrs: error: Node ${version} is too old\nhint: install Node 24 or newer, or run "npm run setup" in the checkout on linux-x64\n`;
    assert.deepEqual([status, stderr], Number(version.split('.')[0]) < 24 ? [3, tooOld] : [1, '']);
  }
});
