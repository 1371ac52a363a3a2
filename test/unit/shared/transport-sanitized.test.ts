// SPDX-License-Identifier: Apache-2.0
/** The native addon under the address and undefined-behaviour sanitizers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { root, scratch } from '../../harness/gateway.ts';

const STEPS = `
const addon = require(process.argv[1]);
const named = (error) => require('node:util').getSystemErrorName(-error.errno);
const rejected = (promise) => promise.then(() => 'fine', named);
const thrown = (act) => { try { act(); return 'fine'; } catch (error) { return error instanceof TypeError ? 'TypeError' : named(error); } };
(async () => {
  const out = [];
  for (const bad of [[], [1], ['a', 'b'], [-1, 2], [1.5, 2], [2 ** 32, 1], [NaN, 1], [{}, []]]) out.push(thrown(() => addon.bind(...bad)), thrown(() => addon.connect(...bad)), thrown(() => addon.peer(bad[0])));
  out.push(thrown(() => addon.openDevice('x'.repeat(255))), thrown(() => addon.openDevice('x'.repeat(254))), thrown(() => addon.openDevice('')), thrown(() => addon.openDevice()));
  out.push(thrown(() => addon.nsm(0)), thrown(() => addon.nsm(0, new Uint16Array(4))), thrown(() => addon.nsm(0, new DataView(new ArrayBuffer(4)))), thrown(() => addon.nsm(0, new Uint8Array(4097))));
  const device = addon.openDevice('/dev/null');
  const requests = Array.from({ length: 64 }, (_, at) => rejected(addon.nsm(device, new Uint8Array(4096 - at).fill(7))));
  out.push(...new Set(await Promise.all(requests)));
  addon.close(device);
  out.push(thrown(() => addon.close(device)));
  const family = thrown(() => addon.close(addon.bind(0xffffffff, 0xffffffff)));
  out.push(family === 'fine' || family === 'EAFNOSUPPORT' || family === 'EADDRNOTAVAIL' ? 'bound' : family);
  const dialled = await Promise.all(Array.from({ length: 32 }, (_, at) => rejected(addon.connect(2, 60000 + at, 50))));
  out.push(dialled.every((one) => one !== 'fine') ? 'refused' : 'connected');
  globalThis.gc?.();
  console.log(JSON.stringify(out));
})();
`;

function runSanitized(): void {
  const output = join(scratch(), 'addon.node');
  const native = join(root, 'shared', 'transport', 'native', 'addon.c');
  const include = join(process.execPath, '..', '..', 'include', 'node');
  const flags = ['-std=c11', '-g', '-O1', '-fPIC', '-shared', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer', '-Wall', '-Wextra', '-Werror', '-DNODE_GYP_MODULE_NAME=mcp_bastion'];
  const built = spawnSync('cc', [...flags, '-I', include, '-o', output, native], { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  const library = spawnSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.trim();
  const env = { PATH: process.env['PATH'] ?? '', LD_PRELOAD: library, ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1' };
  const run = spawnSync(process.execPath, ['--expose-gc', '-e', STEPS, output], { encoding: 'utf8', env });
  assert.equal(run.status, 0, run.stderr);
  assert.doesNotMatch(run.stderr, /Sanitizer|runtime error/);
  // The sixth asks for the peer of standard output.
  const refused = Array.from({ length: 24 }, (_, at) => (at === 5 ? 'EAFNOSUPPORT' : 'TypeError'));
  assert.deepEqual(JSON.parse(run.stdout), [...refused, 'TypeError', 'ENOENT', 'ENOENT', 'TypeError', 'TypeError', 'TypeError', 'TypeError', 'EMSGSIZE', 'ENOTTY', 'EBADF', 'bound', 'refused']);
}

if (process.platform === 'linux') test('the addon takes hostile arguments and many requests at once without a fault of memory', runSanitized);
