// SPDX-License-Identifier: Apache-2.0
/** Transcripts of `bastion-eif`: what it prints, where, and its exit codes. Most run in this process, for speed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { measureEif, pcr3OfRole, pcr4OfInstance } from '../../../shared/eif/measure.ts';
import { toHex } from '../../../shared/bytes.ts';
import { runCommand } from '../../../eif/command.ts';
import { imageOf, newSigner, readOf } from '../../harness/eif.ts';
import { root, scratch } from '../../harness/gateway.ts';

const launcher = join(root, 'eif', 'bin', 'bastion-eif.mjs');

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** In the folder where the images are. */
function run(...args: readonly string[]): Outcome {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written): { write: (text: string) => void } => ({
    write: (text) => {
      written[name] += text;
    },
  });
  const code = runCommand(args, { stdout: stream('stdout'), stderr: stream('stderr'), now: () => Date.now() });
  return { code, ...written };
}

/** A folder with two images, and a signer. */
function workplace(): string {
  const folder = scratch();
  const signer = newSigner();
  writeFileSync(join(folder, 'plain.eif'), imageOf());
  writeFileSync(join(folder, 'other.eif'), imageOf({ cmdline: 'quiet' }));
  writeFileSync(join(folder, 'key.pem'), signer.keyPem);
  writeFileSync(join(folder, 'cert.pem'), signer.certificatePem);
  return folder;
}

const folder = workplace();
process.chdir(folder);
const measured = measureEif(readOf(imageOf()));
const [PCR0, PCR1, PCR2] = [toHex(measured.pcr0), toHex(measured.pcr1), toHex(measured.pcr2)];
const KEY = ['--key', 'key.pem', '--certificate', 'cert.pem'];

test('measure prints what nitro-cli prints, and what an enclave on that host would have', () => {
  const json = `{
  "Measurements": {
    "HashAlgorithm": "Sha384 { ... }",
    "PCR0": "${PCR0}",
    "PCR1": "${PCR1}",
    "PCR2": "${PCR2}"
  }
}
`;
  assert.deepEqual(run('measure', 'plain.eif'), { code: 0, stdout: json, stderr: '' });
  const role = 'arn:aws:iam::123456789012:role/bastion';
  const { stdout } = run('measure', 'plain.eif', '--role-arn', role, '--instance-id', 'i-0123456789abcdef0');
  const { PCR3, PCR4 } = JSON.parse(stdout).Measurements;
  assert.deepEqual([PCR3, PCR4], [toHex(pcr3OfRole(role)), toHex(pcr4OfInstance('i-0123456789abcdef0'))]);
});

test('describe tells a wrong checksum and a wrong signature, and exits 1', () => {
  const { code, stdout } = run('describe', 'plain.eif');
  assert.deepEqual([code, JSON.parse(stdout).CheckCRC, JSON.parse(stdout).IsSigned], [0, true, false]);
  const bytes = readFileSync(join(folder, 'plain.eif'));
  bytes.writeUInt32BE(1, 544);
  writeFileSync(join(folder, 'crc.eif'), bytes);
  const wrong = run('describe', 'crc.eif');
  assert.deepEqual([wrong.code, JSON.parse(wrong.stdout).CheckCRC], [1, false]);
  assert.deepEqual(run('measure', 'crc.eif'), {
    code: 3, stdout: '',
    stderr: 'measure: error: the image is malformed: the checksum does not match (EIF_CRC at byte 544)\nhint: build it again, or copy it again\n',
  });
});

test('an image is signed, described, verified and compared', () => {
  const signed = run('sign', 'plain.eif', ...KEY, '--out', 'signed.eif');
  assert.deepEqual([signed.code, signed.stderr], [0, '']);
  assert.deepEqual(Object.keys(JSON.parse(signed.stdout).Measurements), ['HashAlgorithm', 'PCR0', 'PCR1', 'PCR2', 'PCR8']);
  const described = JSON.parse(run('describe', 'signed.eif').stdout);
  assert.deepEqual([described.IsSigned, described.SignatureCheck, described.SigningCertificate.IssuerName.commonName], [true, true, 'release']);
  writeFileSync(join(folder, 'measurements.json'), signed.stdout);
  assert.deepEqual(run('verify', 'signed.eif', '--measurements', 'measurements.json', '--certificate', 'cert.pem'), {
    code: 0, stderr: '',
    stdout: `ok    format            version 4, 6 sections, checksum matches
ok    pcr0              as expected
ok    pcr1              as expected
ok    pcr2              as expected
ok    signature         ES384 over this PCR0
ok    certificate-time  valid
ok    signer            as expected
verdict: the image is as expected
not covered by any of it: the metadata
`,
  });
  const compared = run('diff', 'plain.eif', 'signed.eif');
  assert.equal(compared.code, 1);
  assert.match(compared.stdout, /^signature:\n {2}first {4}has none\n {2}second {3}\d+ bytes, sha256 [0-9a-f]{64}\nPCRs that differ: PCR8\n$/);
});

test('a PCR0 is signed on one machine and attached on another, to its own image only', () => {
  assert.deepEqual(run('sign', '--pcr0', PCR0.toUpperCase(), ...KEY, '--out', 'section'), { code: 0, stdout: '', stderr: '' });
  assert.equal(run('sign', 'plain.eif', '--section', 'section', '--out', 'attached.eif').code, 0);
  assert.equal(JSON.parse(run('describe', 'attached.eif').stdout).SignatureCheck, true);
  assert.deepEqual(run('sign', 'other.eif', '--section', 'section', '--out', 'never.eif'), {
    code: 1, stdout: '',
    stderr: 'sign: error: the signature is over the PCR0 of another image\nhint: sign the PCR0 that "bastion-eif measure" prints for this image\n',
  });
  assert.equal(run('sign', 'plain.eif', '--section', 'cert.pem', '--out', 'never.eif').code, 1);
  const lost = run('measure', 'never.eif');
  assert.deepEqual([lost.code, lost.stderr.split('\n')[0]], [3, 'measure: error: the image cannot be read (ENOENT)']);
});

test('verify shows what was expected and what is there, and exits 1', () => {
  assert.deepEqual(run('verify', 'other.eif', '--pcr0', PCR0, '--pcr2', PCR2, '--accept-unchecked', 'pcr1'), {
    code: 1, stderr: '',
    stdout: `ok    format            version 4, 5 sections, checksum matches
FAIL  pcr0              not as expected
      expected ${PCR0}
      actual   ${toHex(measureEif(readOf(imageOf({ cmdline: 'quiet' }))).pcr0)}
-     pcr1              not checked: no value was given
ok    pcr2              as expected
verdict: the image does not match (pcr0)
not covered by any of it: the metadata
`,
  });
});

test('verify exits 3 for what it was not told, and 0 where that is accepted', () => {
  const left = run('verify', 'plain.eif', '--pcr0', PCR0);
  assert.equal(left.code, 3);
  assert.match(left.stdout, /^verdict: not verified, for want of pcr1, pcr2$/m);
  const accepted = run('verify', 'plain.eif', '--pcr0', PCR0, '--accept-unchecked', 'pcr1,pcr2');
  assert.equal(accepted.code, 0);
  assert.match(accepted.stdout, /^verdict: as expected as far as checked; accepted unchecked: pcr1, pcr2$/m);
  assert.equal(run('verify', 'absent.eif', '--pcr0', PCR0).code, 3);
});

test('verify and diff print their schema as JSON', () => {
  const verified = run('verify', 'plain.eif', '--pcr0', PCR0, '--json');
  const json = JSON.parse(verified.stdout);
  assert.deepEqual([verified.code, Object.keys(json), json.schema, json.verdict], [3, ['schema', 'verdict', 'checks', 'not_covered'], 'mcp-bastion/eif-verify/1', 'incomplete']);
  assert.deepEqual(json.checks[1], { name: 'pcr0', result: 'ok', detail: 'as expected', expected: PCR0, actual: PCR0 });
  const compared = run('diff', 'plain.eif', 'other.eif', '--json');
  assert.equal(compared.code, 1);
  assert.deepEqual(JSON.parse(compared.stdout), {
    schema: 'mcp-bastion/eif-diff/1', same: false, pcrs: ['PCR0', 'PCR1'],
    sections: [{ section: 'cmdline', index: 0, left: 'reboot=k console=ttyS0', right: 'quiet', paths: null, note: null }],
  });
  assert.deepEqual(run('diff', 'plain.eif', 'plain.eif'), { code: 0, stdout: 'the images are the same\n', stderr: '' });
});

test('an output that exists is not replaced', () => {
  const before = readFileSync(join(folder, 'other.eif'));
  const refused = run('sign', 'plain.eif', ...KEY, '--out', 'other.eif');
  assert.deepEqual([refused.code, refused.stderr], [3, 'sign: error: the output exists already\nhint: name another file, or move it away\n']);
  assert.deepEqual(readFileSync(join(folder, 'other.eif')), before);
});

test('wrong words on the command line exit 2, with the command and a hint', () => {
  const lists = { two: '{"PCR0":"00"}', zero: `{"PCR0":"${'0'.repeat(96)}"}`, more: `{"PCR0":"${PCR0}","PCR3":"${PCR0}"}`, none: '{"Measurements":{}}', text: 'PCR0' };
  for (const [name, text] of Object.entries(lists)) writeFileSync(join(folder, name), text);
  const table: readonly [string[], RegExp][] = [
    [[], /^bastion-eif: error: a command is missing\nhint: /],
    [['build'], /^bastion-eif: error: there is no such command\n/],
    [['measure'], /^measure: error: this wants one image\n/],
    [['measure', 'plain.eif', 'other.eif'], /^measure: error: this wants one image\n/],
    [['measure', 'plain.eif', '--pcr'], /^measure: error: these arguments are not known\n/],
    [['measure', 'plain.eif', '--role-arn', 'bastion'], /^measure: error: --role-arn is not an ARN\n/],
    [['measure', 'plain.eif', '--instance-id', 'bastion'], /^measure: error: --instance-id is not an instance\n/],
    [['describe', 'plain.eif', '--json'], /^describe: error: these arguments are not known\n/],
    [['diff', 'plain.eif'], /^diff: error: this wants two images\n/],
    [['sign', 'plain.eif', ...KEY], /^sign: error: --out is missing\n/],
    [['sign', 'plain.eif', '--key', 'key.pem', '--out', 'x'], /^sign: error: --certificate is missing\n/],
    [['sign', 'plain.eif', '--pcr0', PCR0, ...KEY, '--out', 'x'], /^sign: error: an image does not go with --pcr0\n/],
    [['sign', 'plain.eif', '--section', 'section', '--key', 'key.pem', '--out', 'x'], /^sign: error: --key does not go with --section\n/],
    [['sign', '--pcr0', PCR0.slice(2), ...KEY, '--out', 'x'], /^sign: error: --pcr0 is not a PCR\n/],
    [['sign', 'plain.eif', '--key', 'cert.pem', '--certificate', 'cert.pem', '--out', 'x'], /^sign: error: the key is not an unencrypted private key in PEM\n/],
    [['verify', 'plain.eif', '--pcr0', PCR0, '--pcr0', PCR0], /^verify: error: --pcr0 is given twice\n/],
    [['verify', 'plain.eif', '--pcr0', '0'.repeat(96)], /^verify: error: --pcr0 is zero\n/],
    [['verify', 'plain.eif', '--measurements', 'two'], /^verify: error: PCR0 is not a PCR\n/],
    [['verify', 'plain.eif', '--measurements', 'zero'], /^verify: error: PCR0 is zero\n/],
    [['verify', 'plain.eif', '--measurements', 'more'], /^verify: error: --measurements holds a PCR that no image has\n/],
    [['verify', 'plain.eif', '--measurements', 'none'], /^verify: error: --measurements holds no PCR\n/],
    [['verify', 'plain.eif', '--measurements', 'text'], /^verify: error: --measurements is not a list of measurements\n/],
    [['verify', 'plain.eif', '--certificate', 'key.pem'], /^verify: error: --certificate does not hold exactly one certificate in PEM\n/],
    [['verify', 'plain.eif', '--certificate', 'cert.pem', '--pcr8', PCR0], /^verify: error: two values are expected of pcr8\n/],
    [['verify', 'plain.eif', '--at', 'yesterday'], /^verify: error: --at is not a time\n/],
    [['verify', 'plain.eif', '--accept-unchecked', 'signature'], /^verify: error: --accept-unchecked names no such check\n/],
  ];
  for (const [args, message] of table) {
    const { code, stdout, stderr } = run(...args);
    assert.deepEqual([code, stdout], [2, ''], args.join(' '));
    assert.match(stderr, message);
    assert.match(stderr, /\nhint: [^\n]+\n$/);
  }
});

test('every command that the usage names has a help of its own', () => {
  const usage = run('--help');
  assert.equal(usage.code, 0);
  const named = [...usage.stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = '']) => name);
  assert.deepEqual(named, ['measure', 'describe', 'sign', 'verify', 'diff', 'version']);
  for (const name of named.slice(0, -1)) {
    const help = run(name, '--help');
    assert.equal(help.code, 0);
    assert.match(help.stdout, new RegExp(`^usage: bastion-eif ${name} [^]*\\n(example|Exit)`));
  }
  assert.match(run('version').stdout, /^bastion-eif \d+\.\d+\.\d+\n$/);
});

test('a directory, a missing file and a file that is no image are told apart', () => {
  const first = (outcome: Outcome): [number | null, string | undefined] => [outcome.code, outcome.stderr.split('\n')[0]];
  assert.deepEqual(first(run('describe', '.')), [3, 'describe: error: the image cannot be read (EISDIR)']);
  assert.deepEqual(first(run('describe', 'absent')), [3, 'describe: error: the image cannot be read (ENOENT)']);
  assert.deepEqual(first(run('describe', 'cert.pem')), [3, 'describe: error: the image is malformed: this is not an enclave image file (EIF_MAGIC at byte 0)']);
  writeFileSync(join(folder, 'long.pem'), Buffer.alloc(65_537, 0x61));
  assert.deepEqual(first(run('verify', 'plain.eif', '--certificate', 'long.pem')), [3, 'verify: error: the certificate has more than 65536 bytes']);
});

test('measurements come through a pipe as well as from a file', () => {
  const line = '"$0" "$1" measure plain.eif | "$0" "$1" verify plain.eif --measurements /dev/stdin';
  const { status, stdout } = spawnSync('sh', ['-c', line, process.execPath, launcher], { cwd: folder, encoding: 'utf8' });
  assert.deepEqual([status, stdout.split('\n').at(-3)], [0, 'verdict: the image is as expected']);
});

test('the launcher passes output, errors and exit codes on', () => {
  const launch = (...args: readonly string[]): Outcome => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], { encoding: 'utf8', cwd: folder });
    return { code: status, stdout, stderr };
  };
  assert.deepEqual(launch('measure', 'plain.eif'), run('measure', 'plain.eif'));
  assert.deepEqual(launch('diff', 'plain.eif', 'other.eif'), run('diff', 'plain.eif', 'other.eif'));
  assert.deepEqual(launch('build'), run('build'));
});
