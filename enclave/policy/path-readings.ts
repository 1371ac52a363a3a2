// SPDX-License-Identifier: Apache-2.0
/**
 * What a lenient server could understand by the text of a path. What a name leads to on the server's disk is not seen
 * from here: a symbolic link, a mount or a short 8.3 name inside a permitted folder leads where it leads, and where a
 * relative path begins is the server's to say.
 */
import { foldKey } from '../../shared/json/fold.ts';
import { READING_LENGTH_MAX, READING_PIECES_MAX } from '../../shared/limits.ts';
import { withoutInvisible } from './invisible.ts';
import type { Readings } from './readings.ts';
import { UNREADABLE, closure, percentDecoded, unescaped } from './readings.ts';

/** The path of a URL of any scheme, however many slashes it has. */
function withoutScheme(text: string): string {
  const rest = /^\s*[a-z][a-z0-9+.-]+:(.*)$/is.exec(text)?.[1];
  if (rest === undefined) return text;
  const path = rest.replaceAll('\\', '/').replace(/[?#].*$/s, '');
  const authority = /^\/\/([^/]*)(\/.*)?$/s.exec(path);
  return authority === null ? path : (authority[2] ?? '/');
}

/** Some systems write a separator for what only looks like one. */
function slashed(text: string): string {
  return text.replaceAll(/[\\\u2044\u2215\u2216\u2571\u29f5\u29f8\u29f9\u00a5\u20a9]/g, '/');
}

const STEPS: readonly ((text: string) => string)[] = [
  percentDecoded,
  unescaped,
  (text) => text.normalize('NFKC'),
  withoutInvisible,
  withoutScheme,
  slashed,
  (text) => text.split('\0', 1)[0] ?? '',
  (text) => text.trim().replace(/^(["'`])(.*)\1$/s, '$2'),
  // What is left where a server takes the climbing steps out.
  (text) => text.replaceAll('../', ''),
];

const DEVICE_PREFIX = /^\/\/[?.]\/(?:UNC\/)?/i;
/** A drive's administrative share. */
const SHARE = /^\/\/[^/]+\/([a-z])\$(?=\/|$)/i;
const DRIVE = /^\/?[a-z]:/i;
const LINK = /^(?:root|cwd)$/i;
const PROC = /^proc\/(?:self|thread-self|[0-9]+)(?:\/task\/[0-9]+)?\/(root|cwd)$/i;

/**
 * `.`, `..` and empty segments resolved; a path that leaves where it began keeps its `..`. `linked`: through the links that
 * lead from /proc to a process's own root and folder, as the system follows them.
 */
function resolved(path: string, linked: boolean): string {
  let absolute = path.startsWith('/');
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment !== '..') {
      kept.push(segment);
      const link = linked && absolute && LINK.test(segment) ? PROC.exec(kept.join('/'))?.[1]?.toLowerCase() : undefined;
      if (link !== undefined) kept.length = 0;
      if (link === 'cwd') absolute = false;
    } else if (kept.length > 0 && kept.at(-1) !== '..') {
      kept.pop();
    } else if (!absolute) {
      kept.push('..');
    }
  }
  return `${absolute ? '/' : ''}${kept.join('/')}` || (absolute ? '/' : '.');
}

/** Without what Windows and some servers drop at the end of a name: dots, spaces, streams, parameters. */
function withoutTails(path: string): string {
  return path
    .split('/')
    .map((segment, index) => {
      const name = segment.replace(index === 0 ? /;.*$/s : /[:;].*$/s, '').trimEnd();
      return name === '.' || name === '..' ? name : name.replace(/[. ]+$/, '');
    })
    .join('/');
}

/** The part of a relative path that does not climb. */
function withoutClimb(path: string): string {
  return path.replace(/^(?:\.\.(?:\/|$))+/, '');
}

function* normalForms(text: string): Generator<string> {
  const path = text.replace(DEVICE_PREFIX, '/').replace(SHARE, '$1:');
  const forms = new Set([path, path.replace(DRIVE, '')]);
  for (const form of forms) forms.add(withoutTails(form));
  for (const form of forms) {
    for (const linked of [false, true]) {
      const whole = resolved(form, linked);
      yield whole;
      // A relative path that climbs far enough, or that is resolved at the root, means this.
      if (!whole.startsWith('/')) yield resolved(`/${withoutClimb(whole)}`, linked);
    }
  }
}

/** Every normalised path that a text may stand for, forward slashes only, folded too. Callers bound the length. */
export function pathForms(text: string): { readonly values: readonly string[]; readonly whole: boolean } {
  const { values, whole } = closure(text, STEPS);
  const found = new Set<string>();
  for (const form of values) {
    for (const path of normalForms(form)) found.add(path).add(foldKey(path));
  }
  return { values: [...found], whole };
}

/** What leads where only the server's environment says: a home, a variable, an open file. */
const ELSEWHERE = /^~|^\$|\/~[^/]*\/\.\.|\$\{|\$\(|\/\$[a-z_]|%(?![0-9a-f]{2}%)[a-z_][a-z0-9_()]*%|^\/?(?:proc\/[^/]+\/(?:task\/[^/]+\/)?fd|dev\/fd)(?:\/|$)/i;
const SEPARATOR = /[\s,;|]+/;

/** True if a path is written as it will be read, whoever reads it. */
function isPlain(text: string): boolean {
  if (text === '' || text.length > READING_LENGTH_MAX || text.normalize('NFKC') !== text || withoutInvisible(text) !== text) return false;
  if (/[\\:;|*?[\]{}$<>"'`&]|^[~-]|^\/\//.test(text) || slashed(text) !== text || percentDecoded(text) !== text || ELSEWHERE.test(text)) return false;
  // A server that splits a list would find a second path here.
  if (text.split(SEPARATOR).slice(1).some((piece) => /^[/~-]|^\.\.?(?:\/|$)/.test(piece))) return false;
  if (text.split('/').some((segment) => segment !== segment.trim() || segment.endsWith('.'))) return false;
  const path = normalRoot(text);
  return resolved(text, true) === path && path === (text.length > 1 ? text.replace(/\/$/, '') : text);
}

/** Every path that a text may stand for, and those of a list in it. */
export function pathReadings(text: string): Readings {
  if (text.length > READING_LENGTH_MAX) return UNREADABLE;
  const plain = isPlain(text) ? normalRoot(text) : null;
  const { values, whole } = plain === null ? pathForms(text) : { values: [plain, foldKey(plain)], whole: true };
  const pieces = text.split(SEPARATOR).filter((piece) => piece !== text);
  if (!whole || pieces.length > READING_PIECES_MAX) return { ...UNREADABLE, plain };
  const parts = pieces.map(pathForms);
  const found = [...values, ...parts.flatMap((part) => part.values)];
  return { plain, values: found, whole: parts.every((part) => part.whole) && !found.some((path) => ELSEWHERE.test(path)) };
}

/** A root as rules compare it. */
export function normalRoot(root: string): string {
  return resolved(root.replaceAll('\\', '/'), false);
}

/** True if a normalised path is a root or lies below it. */
export function isInside(path: string, root: string): boolean {
  if (root === '/') return path.startsWith('/');
  if (root === '.') return !path.startsWith('/') && path !== '..' && !path.startsWith('../');
  return path === root || path.startsWith(`${root}/`);
}

/**
 * True if a reading may lead to a root or below it: by wildcards that a server expands, or as a relative path that names
 * the end of the root.
 */
export function mayReach(path: string, root: string): boolean {
  if (isInside(path, root)) return true;
  const wild = path.search(/[*?[{]/);
  if (path.startsWith('/')) return wild !== -1 && `${root}/`.startsWith(path.slice(0, wild));
  const rest = withoutClimb(path);
  return rest !== '' && rest !== '.' && ends(root).some((end) => isInside(rest, end));
}

/** `b/c` and `c` of `/a/b/c`. */
function ends(root: string): string[] {
  const segments = root.split('/').filter((segment) => segment !== '' && segment !== '.');
  return segments.map((_, index) => segments.slice(index).join('/'));
}
