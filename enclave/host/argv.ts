// SPDX-License-Identifier: Apache-2.0
/** The server's command line: split without a shell, and the short name that it gives the server. */
import { Usage } from '../../shared/errors.ts';

/**
 * Splits a command into words as a POSIX shell would, with quotes and backslashes, and nothing else of a shell: what a
 * shell would expand or act on is refused rather than passed on as text.
 *
 * @throws Usage (USAGE)
 */
export function splitCommand(command: string): string[] {
  const words: string[] = [];
  let word = '';
  let started = false;
  let quote: '"' | "'" | null = null;
  for (let at = 0; at < command.length; at += 1) {
    const char = command.charAt(at);
    if (quote !== null) {
      if (char === quote) quote = null;
      else if (char === '\\' && quote === '"' && '"\\$`'.includes(command.charAt(at + 1))) word += command.charAt((at += 1));
      else if (quote === '"' && '$`'.includes(char)) throw needsShell(char);
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      started = true;
    } else if (/\s/.test(char)) {
      if (started) words.push(word);
      word = '';
      started = false;
    } else if ('|&;<>()$`*?['.includes(char) || (char === '~' && !started)) {
      throw needsShell(char);
    } else {
      if (char === '\\') at += 1;
      word += command.charAt(at);
      started = true;
    }
  }
  if (quote !== null) throw new Usage('USAGE', '--upstream has an open quote', 'close it, or give the words after --');
  if (started) words.push(word);
  if (words.length === 0) throw new Usage('USAGE', '--upstream is empty', 'for example: --upstream "npx -y @scope/server"');
  return words;
}

function needsShell(char: string): Usage {
  return new Usage('USAGE', `--upstream holds '${char}', which only a shell understands`, 'there is no shell; put it in single quotes, or give the words after --');
}

const RUNNERS: ReadonlySet<string> = new Set(['npx', 'node', 'bunx', 'bun', 'deno', 'uvx', 'uv', 'python', 'python3', 'pnpm', 'dlx', 'exec', 'run', 'tsx']);

function baseName(word: string): string {
  return word.split(/[/\\]/).at(-1) ?? word;
}

/** Names of files and folders that say nothing of the server: the folder above says more. */
const GENERIC: ReadonlySet<string> = new Set(['index', 'main', 'server', 'cli', 'app', 'run', 'start', 'dist', 'build', 'out', 'src', 'lib', 'bin']);

function shortName(segment: string): string {
  return segment
    .replace(/\.(mjs|cjs|js|mts|ts|py|sh|exe)$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
}

/** A server id (`[a-z0-9-]{1,24}`) from its command: the package or script less `mcp-`, `server-` and the version. */
export function serverName(argv: readonly string[]): string {
  const named = argv.find((word, index) => !word.startsWith('-') && !(RUNNERS.has(baseName(word)) && index < argv.length - 1));
  const segments = (named ?? '').replace(/(.)@[^/]*$/, '$1').split(/[/\\]/).map(shortName).filter((segment) => segment !== '');
  const telling = segments.findLast((segment) => !GENERIC.has(segment)) ?? segments.at(-1) ?? 'server';
  const short = telling.replace(/^(mcp-|server-)+/, '').slice(0, 24).replace(/-+$/, '');
  return short === '' ? 'server' : short;
}

const GENERIC_HOSTS: ReadonlySet<string> = new Set(['mcp', 'api', 'www']);

/** A server id from its URL: the part of the host that tells, without top-level domains. */
export function serverNameOfUrl(url: string): string {
  const host = URL.parse(url)?.hostname ?? '';
  if (/^[0-9.]+$|:/.test(host)) return 'server';
  const parts = host.split('.').map(shortName).filter((part) => part !== '');
  const telling = parts.slice(0, Math.max(1, parts.length - 1)).findLast((part) => !GENERIC_HOSTS.has(part)) ?? parts[0] ?? 'server';
  return telling.slice(0, 24).replace(/-+$/, '');
}

/** @throws Usage for a name that is no server id */
export function checkServerName(name: string): string {
  if (/^[a-z0-9-]{1,24}$/.test(name)) return name;
  throw new Usage('USAGE', '--name is not a server id', 'use 1 to 24 of a-z, 0-9 and -');
}
