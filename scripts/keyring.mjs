// SPDX-License-Identifier: Apache-2.0
// Installs a Secret Service (Debian's gnome-keyring and a D-Bus) for the test of the keychain, where it is missing.
// Plain JavaScript without dependencies, because it runs on any Node from 18 on.
import { spawnSync } from 'node:child_process';

const packages = ['gnome-keyring', 'dbus', 'dbus-daemon'];

function say(text) {
  process.stderr.write(`keyring: ${text}\n`);
}

function isInstalled(name) {
  const { status, stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Status}', name], { encoding: 'utf8' });
  return status === 0 && stdout.startsWith('install ok');
}

if (process.platform !== 'linux') process.exit(0);
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
