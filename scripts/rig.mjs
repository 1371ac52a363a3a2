// SPDX-License-Identifier: Apache-2.0
// Installs what the test rig beside the checkout needs of Debian's packages, where there is a rig and they are missing.
// Plain JavaScript without dependencies, because it runs on any Node from 18 on.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const rig = join(root, '..', 'shared', 'rig');
const packages = ['libgnutls30', 'libcbor0.8', 'libfdt1', 'libglib2.0-0', 'seabios', 'qemu-system-data'];

function say(text) {
  process.stderr.write(`rig: ${text}\n`);
}

function isInstalled(name) {
  const { status, stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Status}', name], { encoding: 'utf8' });
  return status === 0 && stdout.startsWith('install ok');
}

if (!existsSync(join(rig, 'qemu-system-x86_64'))) {
  say('there is no test rig beside the checkout; images are not booted');
  process.exit(0);
}
const missing = packages.filter((name) => !isInstalled(name));
if (missing.length === 0) process.exit(0);
say(`installing ${missing.join(' ')} (a minute, once per machine)`);
const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
for (const args of [['update', '-qq'], ['install', '-y', '-qq', '--no-install-recommends', ...missing]]) {
  const run = spawnSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  if (run.status !== 0) {
    say(`error: apt-get ${args[0]} did not finish`);
    process.stderr.write(`hint: install them by hand: apt-get install ${missing.join(' ')}\n`);
    process.exit(1);
  }
}
