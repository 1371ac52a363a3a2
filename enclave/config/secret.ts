// SPDX-License-Identifier: Apache-2.0
/**
 * Values that may be secret. A configuration refers to them (`env:NAME`, `file:PATH`); a literal that looks like a
 * credential is refused, because a configuration is meant to be shown to others.
 */
import { Unavailable, Usage } from '../../shared/errors.ts';
import { SECRET_BYTES_MAX } from '../../shared/limits.ts';
import type { Checked, Explained } from '../document/problem.ts';
import { quoted } from '../document/problem.ts';
import { CREDENTIAL_PATTERNS } from '../policy/credentials.ts';
import type { RegexSet } from '../policy/regex.ts';
import { compileRegexSet } from '../policy/regex.ts';
import { variableName } from './names.ts';
import type { Secret } from './types.ts';

const REFER = "write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret";

function refuse(problem: string, hint: string): Checked<never> {
  return { ok: false, problem, hint };
}

/** What somebody may have meant as a reference is refused: sent as it stands, it would be a wrong value at best. */
const ALMOST: readonly (readonly [form: RegExp, explained: Explained])[] = [
  [/^(?:keychain|sealed):/i, { problem: 'this build does not read such a reference', hint: 'use env:NAME or file:PATH' }],
  [/^\s*(?:env|file)\s*:/i, { problem: 'this is almost a reference', hint: 'write env:NAME or file:PATH, in lower case and without spaces' }],
  [
    /^(?:apikey|basic|bearer|digest|token) +(?:env|file):\S/i,
    { problem: 'a reference stands alone', hint: "let the variable or the file hold the whole value, such as 'Bearer ...'" },
  ],
  [
    /^(?:(?:apikey|basic|bearer|digest|token) +)?\$(?:\{[A-Za-z_]\w*\}|[A-Za-z_]\w*)$/i,
    { problem: 'variables are not filled in', hint: 'write env:NAME, and nothing else beside it' },
  ],
];

/** Reads a reference, or a text that is none. */
export function readSecret(text: string): Checked<Secret> {
  if (text.includes('\0')) return refuse('the value holds a zero character', 'remove it');
  if (text.startsWith('env:')) {
    const name = variableName(text.slice('env:'.length));
    return name.ok ? { ok: true, value: { kind: 'env', name: name.value } } : name;
  }
  if (text.startsWith('file:')) {
    const path = text.slice('file:'.length);
    return path.trim() === '' ? refuse('file: wants a path', 'for example: file:/run/secrets/token') : { ok: true, value: { kind: 'file', path } };
  }
  const almost = ALMOST.find(([form]) => form.test(text));
  return almost === undefined ? { ok: true, value: { kind: 'literal', value: text } } : { ok: false, ...almost[1] };
}

/** The value of an environment variable of a server. */
export function readVariable(name: string, text: string): Checked<Secret> {
  const secret = readSecret(text);
  return secret.ok && secret.value.kind === 'literal' && namesCredential(name, text) ? literal() : secret;
}

/** Headers whose value is a credential whatever it looks like. */
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'x-api-key']);

/** The value of a header that an upstream gets. `name` is in lower case. */
export function readHeader(name: string, text: string): Checked<Secret> {
  const secret = readSecret(text);
  if (!secret.ok || secret.value.kind !== 'literal') return secret;
  if (text === '') return refuse('the value is empty', 'write a value, or remove the header');
  if (CREDENTIAL_HEADERS.has(name) || namesCredential(name, text)) return literal();
  if (/^[\x20-\x7e]*$/.test(text) && text === text.trim()) return secret;
  return refuse('the value holds characters that a header cannot carry', 'use visible ASCII characters, and spaces only between them');
}

function literal(): Checked<never> {
  return { ok: false, problem: 'this looks like a credential', hint: REFER, code: 'SECRET_IN_CONFIG' };
}

let patterns: RegexSet | null = null;

/** True for a text that holds what the built-in patterns take for a credential. */
export function holdsCredential(text: string): boolean {
  patterns ??= compileRegexSet(CREDENTIAL_PATTERNS.map((pattern) => pattern.source));
  return patterns.candidates(text).length > 0;
}

/** A file's name with its ending: names such as GOOGLE_APPLICATION_CREDENTIALS hold the place of a credential. */
const FILE = /^(?:[A-Za-z]:|\.{0,2})[/\\][^\s=:@]*\.[A-Za-z0-9]{1,5}$/;

/** The same for a text that belongs to a name: `API_KEY` makes a credential of nearly anything. */
function namesCredential(name: string, text: string): boolean {
  return holdsCredential(text) || (text !== '' && !FILE.test(text) && holdsCredential(`${name}=${JSON.stringify(text)}`));
}

export interface SecretSource {
  readonly env: NodeJS.ProcessEnv;
  readonly readFile: (path: string) => Promise<Uint8Array>;
}

/**
 * The value that a configuration refers to. The file's last line end is no part of it.
 *
 * @throws Usage (CONFIG_INVALID) for a variable that is not set or empty, Unavailable (FILE_UNREADABLE) for a file that
 * cannot be read, is empty, too large or no UTF-8
 */
export async function resolveSecret(secret: Secret, io: SecretSource): Promise<string> {
  switch (secret.kind) {
    case 'literal':
      return secret.value;
    case 'env':
      return fromVariable(secret.name, io.env[secret.name]);
    case 'file':
      return fromFile(secret.path, io);
  }
}

function fromVariable(name: string, value: string | undefined): string {
  if (value !== undefined && value !== '') return value;
  const problem = `env:${name}: the variable is ${value === undefined ? 'not set' : 'empty'}`;
  throw new Usage('CONFIG_INVALID', problem, 'set it where the gateway is started');
}

async function fromFile(path: string, io: SecretSource): Promise<string> {
  const label = `file:${quoted(path)}`;
  let bytes: Uint8Array;
  try {
    bytes = await io.readFile(path);
  } catch (error) {
    throw new Unavailable('FILE_UNREADABLE', `${label}: the file cannot be read`, 'check the path and its permissions', error);
  }
  const hint = 'the file holds the secret alone, on one line';
  if (bytes.length > SECRET_BYTES_MAX) throw new Unavailable('FILE_UNREADABLE', `${label}: the file is larger than ${SECRET_BYTES_MAX} bytes`, hint);
  const value = decode(bytes)?.replace(/\r?\n$/, '');
  if (value === undefined || value.includes('\0')) throw new Unavailable('FILE_UNREADABLE', `${label}: the file is not text`, hint);
  if (value === '') throw new Unavailable('FILE_UNREADABLE', `${label}: the file is empty`, hint);
  return value;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
