// SPDX-License-Identifier: Apache-2.0
/**
 * The native addon in a booted machine: vsock streams between two ends of one guest and between the guest and its host,
 * and the emulated security module. Needs the test rig beside the checkout and a C compiler.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import test from 'node:test';
import type { CpioEntry } from '../../eif/cpio.ts';
import { writeCpio } from '../../eif/cpio.ts';
import { writeEif } from '../../eif/write.ts';
import { connectStream, listenStream } from '../../shared/transport/transport.ts';
import { METADATA } from '../harness/eif.ts';
import { root, scratch } from '../harness/gateway.ts';
import { STREAM_CASES } from '../harness/streams.ts';

const rig = join(root, '..', 'shared', 'rig');
const SECONDS_MAX = '300';
const ECHO_PORT = 7000;
const REPORT_PORT = 7001;

/** A file and every folder above it. */
class Tree {
  readonly #entries = new Map<string, CpioEntry>();

  add(path: string, from: string): void {
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) this.folder(folder);
    this.#entries.set(path, { kind: 'file', path, mode: 0o755, data: readFileSync(from) });
  }

  folder(path: string): void {
    this.#entries.set(path, { kind: 'directory', path, mode: 0o755 });
  }

  addFolder(path: string, from: string): void {
    for (const name of readdirSync(from)) {
      const file = join(from, name);
      if (statSync(file).isDirectory()) this.addFolder(join(path, name), file);
      else if (/\.(ts|js|json)$/.test(name)) this.add(join(path, name), file);
    }
  }

  get entries(): CpioEntry[] {
    return [...this.#entries.values()].sort((left, right) => (left.path < right.path ? -1 : 1));
  }
}

/** The libraries that a program was linked with, where the loader looks for them. */
function librariesOf(program: string): string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
}

function buildImage(folder: string): Uint8Array {
  const init = join(folder, 'init');
  const built = spawnSync('cc', ['-O2', '-static', '-Wall', '-Werror', '-o', init, join(import.meta.dirname, 'guest-init.c')], { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  const boot = writeCpio([
    { kind: 'directory', path: 'dev', mode: 0o755 },
    { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'file', path: 'init', mode: 0o755, data: readFileSync(init) },
    { kind: 'directory', path: 'proc', mode: 0o755 },
    { kind: 'directory', path: 'tmp', mode: 0o755 },
  ]);
  const app = new Tree();
  app.add('app/node', process.execPath);
  for (const library of librariesOf(process.execPath)) app.add(relative('/', library), library);
  // Sources run as they are: the guest has the same Node.
  app.addFolder('app/shared', join(root, 'shared'));
  app.add('app/shared/transport/native/addon.node', join(root, 'shared', 'transport', 'native', 'addon.node'));
  app.add('app/test/harness/streams.ts', join(root, 'test', 'harness', 'streams.ts'));
  app.add('app/test/system/guest.ts', join(root, 'test', 'system', 'guest.ts'));
  app.addFolder('app/node_modules/@noble/hashes', join(root, 'node_modules', '@noble', 'hashes'));
  const manifest = join(folder, 'package.json');
  writeFileSync(manifest, '{"type":"module"}');
  app.add('app/package.json', manifest);
  return writeEif({
    arch: 'x86_64',
    kernel: readFileSync(join(rig, 'bzImage')),
    cmdline: 'console=ttyS0 reboot=t panic=1 random.trust_cpu=on',
    metadata: METADATA,
    ramdisks: [boot, writeCpio(app.entries)],
  });
}

/** The host's part: both directions across the machine's border. */
async function talk(run: string): Promise<void> {
  const streams = await Promise.all(Array.from({ length: 20 }, () => connectStream({ kind: 'hvsock', path: join(run, 'vsock'), port: ECHO_PORT }, 120_000)));
  await Promise.all(
    streams.map(async (stream) => {
      const sent = randomBytes(150_000);
      stream.write(sent);
      // Read to its length: the emulator's backend takes the end of one direction for the end of both.
      const back: Buffer[] = [];
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        back.push(chunk);
        if (back.reduce((sum, piece) => sum + piece.length, 0) >= sent.length) break;
      }
      assert.ok(Buffer.concat(back).equals(sent));
    }),
  );
}

test('vsock streams and the security module work in a booted machine', async () => {
  if (!existsSync(join(rig, 'boot-eif'))) {
    process.stderr.write('guest.test.ts: not booted: there is no test rig beside the checkout\n');
    return;
  }
  const folder = scratch();
  const image = join(folder, 'image.eif');
  writeFileSync(image, buildImage(folder));
  const run = join(folder, 'run');
  const machine = spawn(join(rig, 'boot-eif'), [image, run], { env: { ...process.env, MEM: '1G', LIMIT: SECONDS_MAX }, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => void machine.once('exit', resolve));
  // The rig clears its folder when it starts.
  while (!existsSync(join(run, 'vsock')) && machine.exitCode === null) await new Promise((resolve) => void setTimeout(resolve, 50));
  const lines: string[] = [];
  let settle: () => void = () => undefined;
  const reported = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const take = (stream: Duplex): void => {
    const read = createInterface({ input: stream });
    read.on('line', (line) => {
      const text = String(JSON.parse(line));
      lines.push(text);
      if (text !== 'ready') return;
      void talk(run).then(
        () => stream.write('done\n'),
        (error: unknown) => {
          lines.push(`failed: ${String(error)}`);
          stream.write('done\n');
        },
      );
    });
    read.on('close', settle);
  };
  const listener = await listenStream({ kind: 'hvsock', path: join(run, 'vsock'), port: REPORT_PORT }, { accept: take, failed: (error) => assert.fail(error), connectionsMax: 1 });
  await Promise.race([reported, ended]);
  await ended;
  await listener.close();
  const console = existsSync(join(run, 'console.log')) ? readFileSync(join(run, 'console.log'), 'latin1').slice(-3000) : '';
  const nsm = lines.find((line) => line.startsWith('nsm ')) ?? '';
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('nsm ')),
    [...STREAM_CASES.map(([behaviour]) => `ok ${behaviour}`), 'random 8', 'ready', 'peers cid 2'],
    console,
  );
  // {"DescribeNSM": {..., "digest": "SHA384", ...}}
  for (const word of ['DescribeNSM', 'SHA384', 'max_pcrs']) assert.ok(nsm.includes(Buffer.from(word).toString('hex')), nsm);
});
