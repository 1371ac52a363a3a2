// SPDX-License-Identifier: Apache-2.0
/**
 * An image of the product's own writer boots on an emulated Nitro machine, and what the emulated security module then
 * says of it is what the product measured. Needs the test rig beside the checkout and a C compiler.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { writeCpio } from '../../eif/cpio.ts';
import { signPcr0 } from '../../eif/sign.ts';
import { withSignature, writeEif } from '../../eif/write.ts';
import { toHex } from '../../shared/bytes.ts';
import { measureEif, pcr3OfRole, pcr4OfInstance } from '../../shared/eif/measure.ts';
import { readEif } from '../../shared/eif/read.ts';
import { METADATA, newSigner, readOf } from '../harness/eif.ts';
import { root, scratch } from '../harness/gateway.ts';

const rig = join(root, '..', 'shared', 'rig');
const ROLE = 'arn:aws:iam::123456789012:role/bastion';
const INSTANCE = 'i-0123456789abcdef0';
const SECONDS_MAX = '400';

function buildInit(folder: string): Uint8Array {
  const output = join(folder, 'init');
  const built = spawnSync('cc', ['-O2', '-static', '-Wall', '-Werror', '-o', output, join(import.meta.dirname, 'eif-init.c')], { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  return readFileSync(output);
}

function buildImage(folder: string): Uint8Array {
  const boot = writeCpio([
    { kind: 'directory', path: 'dev', mode: 0o755 },
    { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'file', path: 'init', mode: 0o755, data: buildInit(folder) },
  ]);
  const app = writeCpio([
    { kind: 'directory', path: 'app', mode: 0o755 },
    { kind: 'file', path: 'app/message', mode: 0o644, data: Buffer.from('from the second ramdisk') },
    { kind: 'symlink', path: 'link', target: 'app/message' },
  ]);
  return writeEif({
    arch: 'x86_64',
    kernel: readFileSync(join(rig, 'bzImage')),
    cmdline: 'console=ttyS0 reboot=t panic=1 random.trust_cpu=on',
    metadata: METADATA,
    ramdisks: [boot, app],
  });
}

interface Boot {
  readonly status: number | null;
  readonly console: string;
  readonly talk: string;
}

function boot(image: Uint8Array, folder: string): Boot {
  const path = join(folder, 'image.eif');
  writeFileSync(path, image);
  const env = { ...process.env, MEM: '512M', PARENT_ROLE: ROLE, INSTANCE_ID: INSTANCE, LIMIT: SECONDS_MAX };
  const run = spawnSync(join(rig, 'boot-eif'), [path, join(folder, 'run')], { encoding: 'utf8', env });
  const log = join(folder, 'run', 'console.log');
  return { status: run.status, console: existsSync(log) ? readFileSync(log, 'latin1') : '', talk: run.stdout + run.stderr };
}

/** True where there is no rig: then nothing is booted, and the run says so. */
function withoutRig(): boolean {
  if (existsSync(join(rig, 'boot-eif'))) return false;
  assert.equal(existsSync(rig), false, 'the rig is there without its boot-eif');
  process.stderr.write('eif.test.ts: not booted: there is no test rig beside the checkout\n');
  return true;
}

test('a signed image boots, unpacks both ramdisks, and has the PCRs that were computed', () => {
  if (withoutRig()) return;
  const folder = scratch();
  const unsigned = readOf(buildImage(folder));
  const image = withSignature(unsigned, signPcr0(measureEif(unsigned).pcr0, newSigner(), Date.now()));
  const { pcr0, pcr1, pcr2, pcr8 } = measureEif(readOf(image));
  assert.ok(pcr8 !== null);
  const { console, talk } = boot(image, folder);
  const lines = console.split(/\r?\n/).filter((line) => /^(PCR|FILE|END)/.test(line));
  assert.deepEqual(
    lines,
    [
      `PCR0 ${toHex(pcr0)}`,
      `PCR1 ${toHex(pcr1)}`,
      `PCR2 ${toHex(pcr2)}`,
      `PCR3 ${toHex(pcr3OfRole(ROLE))}`,
      `PCR4 ${toHex(pcr4OfInstance(INSTANCE))}`,
      `PCR8 ${toHex(pcr8)}`,
      'FILE /app/message from the second ramdisk',
      'FILE /link from the second ramdisk',
      'END',
    ],
    `${talk}\n${console.slice(-2000)}`,
  );
});

test('an image with a changed byte is refused by the machine and by the reader', () => {
  if (withoutRig()) return;
  const folder = scratch();
  const image = buildImage(folder);
  const changed = Uint8Array.from(image);
  changed[image.length - 1] = (image.at(-1) ?? 0) ^ 1;
  const read = readEif(changed);
  assert.equal(read.kind === 'malformed' && read.code, 'EIF_CRC');
  const { status, console, talk } = boot(changed, folder);
  assert.notEqual(status, 0);
  assert.match(talk, /CRC/);
  assert.equal(console, '');
});
