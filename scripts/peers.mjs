// SPDX-License-Identifier: Apache-2.0
// Installs the test peers (test/peers): other people's clients, servers, proxies and judges. Idempotent; no install
// script of theirs runs. Plain JavaScript on any Node from 18 on, like setup.mjs.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'test', 'peers');
const stampFile = join(folder, 'node_modules', '.mcp-bastion-peers');
const begun = Date.now();

function say(text) {
  process.stderr.write(`peers: ${text}\n`);
}

function seconds() {
  return `${((Date.now() - begun) / 1000).toFixed(1)} s`;
}

function stampNow() {
  const hash = createHash('sha256').update(`${process.platform}-${process.arch}\0`);
  for (const file of ['package.json', 'package-lock.json']) hash.update(readFileSync(join(folder, file)));
  return hash.digest('hex');
}

function npmCommand() {
  const script = process.env.npm_execpath;
  if (script !== undefined && /npm-cli\.c?js$/.test(script)) return { command: process.execPath, args: [script] };
  return { command: process.platform === 'win32' ? 'npm.cmd' : 'npm', args: [] };
}

/** The output is shown only if it fails. */
function install() {
  return new Promise((resolve) => {
    const { command, args } = npmCommand();
    const options = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    const child = spawn(command, [...args, ...options], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    const ticker = setInterval(() => say(`  still running, ${seconds()}`), 10_000);
    child.on('error', (error) => {
      clearInterval(ticker);
      resolve({ ok: false, output: String(error.message) });
    });
    child.on('close', (code) => {
      clearInterval(ticker);
      resolve({ ok: code === 0, output: Buffer.concat(output).toString('utf8') });
    });
  });
}

if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stampNow()) {
  say(`ready in ${seconds()}`);
} else {
  rmSync(stampFile, { force: true });
  say('installing the test peers from their lockfile (about 250 MB, once per lockfile)');
  const result = await install();
  if (result.ok) {
    writeFileSync(stampFile, stampNow());
    say(`ready in ${seconds()}`);
  } else {
    process.stderr.write(result.output);
    process.stderr.write('peers: error: npm ci did not finish\nhint: look at the lines above; the package registry has to be reachable\n');
    process.exitCode = 1;
  }
}
