// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a YAML document in its plainest form: one document, no anchors, aliases or tags, every key a text that stands
 * once. What a document says is then what it shows. Keeps the places of keys and values for messages.
 */
import { isAlias, isMap, isNode, isScalar, LineCounter, parseDocument, Scalar, visit } from 'yaml';
import type { Document, Node, YAMLError } from 'yaml';
import type { Explained, Position, Problem } from './problem.ts';
import { problemsError } from './problem.ts';
import type { DocumentKind, Path } from './wording.ts';

/** A document that could be read, though perhaps not without problems. */
export interface Yaml {
  /** Objects, arrays and scalars. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** Place of a value; of what it would be in, where it is missing. */
  valueAt(path: Path): Position;
  /** Place of the key that holds a value; of the value itself in a list. */
  keyAt(path: Path): Position;
}

const START = { line: 1, column: 1 } as const;

/** Problems after which the rest of the document still reads as its author meant it. */
const READABLE: ReadonlySet<string> = new Set(['DUPLICATE_KEY', 'BAD_ALIAS', 'MULTIPLE_ANCHORS', 'TAG_RESOLVE_FAILED']);

type At = (offset: number | undefined) => Position;

/**
 * Reads a document. `file` names it in messages.
 * @throws Usage with all problems, if it cannot be read any further
 */
export function readYaml(bytes: Uint8Array, file: string, kind: DocumentKind): Yaml {
  const source = decode(bytes, file, kind);
  const counter = new LineCounter();
  const at: At = (offset) => {
    const { line, col } = counter.linePos(offset ?? 0);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  let document: Document.Parsed;
  try {
    document = parseDocument(source, { lineCounter: counter, prettyErrors: false, version: '1.2', schema: 'core' });
  } catch {
    throw problemsError(file, [{ ...START, ...tooDeep(kind) }], kind.code);
  }
  const reports: readonly YAMLError[] = [...document.errors, ...document.warnings];
  const problems = reports.map((report) => ({ ...at(report.pos[0]), ...explainYaml(report, kind) }));
  if (reports.some((report) => report.code === 'RESOURCE_EXHAUSTION')) throw problemsError(file, problems.slice(0, 1), kind.code);
  if (reports.some((report) => !READABLE.has(report.code))) throw problemsError(file, problems, kind.code);
  const indirect = refuseIndirection(document, at, kind);
  problems.push(...indirect.problems);
  if (!indirect.readable) throw problemsError(file, problems, kind.code);
  const value: unknown = document.toJS({ maxAliasCount: 0 });
  return {
    value,
    problems,
    valueAt: (path) => at(nearest(document, path)?.range?.[0]),
    keyAt: (path) => at((keyNode(document, path) ?? nodeAt(document, path))?.range?.[0]),
  };
}

function decode(bytes: Uint8Array, file: string, kind: DocumentKind): string {
  if (bytes.length > kind.bytesMax) {
    const problem = `${kind.noun} is larger than ${kind.bytesMax} bytes`;
    throw problemsError(file, [{ ...START, problem, hint: kind.hints.tooLarge }], kind.code);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw problemsError(file, [{ ...START, problem: `${kind.noun} is not UTF-8 text`, hint: 'save the file as UTF-8' }], kind.code);
  }
}

function tooDeep(kind: DocumentKind): Explained {
  return { problem: `${kind.noun} is nested too deeply`, hint: kind.hints.tooDeep };
}

function star(kind: DocumentKind): Explained {
  return { problem: 'a star begins a value that is not quoted', hint: kind.hints.star };
}

const YAML_PROBLEMS: ReadonlyMap<string, (kind: DocumentKind) => Explained> = new Map([
  ['DUPLICATE_KEY', () => ({ problem: 'this key stands here twice', hint: 'keep one of them' })],
  ['BAD_ALIAS', star],
  ['MULTIPLE_DOCS', () => ({ problem: 'the file holds more than one document', hint: "remove the line '---' and what follows" })],
  ['TAB_AS_INDENT', () => ({ problem: 'a tab is used to indent', hint: 'indent with spaces' })],
  ['TAG_RESOLVE_FAILED', () => ({ problem: 'tags are not accepted', hint: "remove the tag, or quote a value that begins with '!'" })],
  ['RESOURCE_EXHAUSTION', tooDeep],
]);

/** What some reports repeat of the document, behind a colon, as an escape or as a directive. */
const REPEATED = /(?:(?<=\w): | \\| %).*$/s;

/** Repeats nothing of the document: it could be a secret. */
function explainYaml(report: YAMLError, kind: DocumentKind): Explained {
  const known = YAML_PROBLEMS.get(report.code);
  if (known !== undefined) return known(kind);
  const reason = report.message.replace(REPEATED, '');
  return { problem: `not valid YAML: ${reason}`, hint: 'check indentation and quotes here' };
}

/** What makes a document say something else than it shows: anchors, aliases, tags, keys that are no text. */
function refuseIndirection(
  document: Document.Parsed,
  at: At,
  kind: DocumentKind,
): { readonly problems: readonly Problem[]; readonly readable: boolean } {
  const problems: Problem[] = [];
  let readable = true;
  const add = (node: Node, { problem, hint }: Explained): void => {
    problems.push({ ...at(node.range?.[0]), problem, hint });
  };
  visit(document, {
    Pair(_, { key }) {
      if (!isNode(key) || isAlias(key)) return;
      const wrong = unusableKey(key);
      if (wrong === null) return;
      add(key, wrong);
      readable = false;
    },
    Node(_, node) {
      if (isAlias(node)) {
        add(node, star(kind));
        const stand = new Scalar(`*${node.source}`);
        if (node.range) stand.range = node.range;
        return stand;
      }
      if (node.anchor !== undefined) add(node, { problem: 'anchors are not accepted', hint: "write the value out, or quote it if it begins with '&'" });
      return undefined;
    },
  });
  return { problems, readable };
}

function unusableKey(key: Node): Explained | null {
  if (!isScalar(key)) return { problem: 'this key is not text', hint: 'write a plain key' };
  if (typeof key.value !== 'string') return { problem: 'this key is not text', hint: 'put it in quotes' };
  // Readers of objects drop it without a word.
  return key.value === '__proto__' ? { problem: 'this key cannot be used', hint: 'choose another name' } : null;
}

function nodeAt(document: Document.Parsed, path: Path): Node | undefined {
  const node: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) ? node : undefined;
}

function nearest(document: Document.Parsed, path: Path): Node | undefined {
  return nodeAt(document, path) ?? (path.length === 0 ? undefined : nearest(document, path.slice(0, -1)));
}

function keyNode(document: Document.Parsed, path: Path): Node | undefined {
  const parent = nodeAt(document, path.slice(0, -1));
  const key = path.at(-1);
  if (!isMap(parent) || key === undefined) return undefined;
  const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key);
  return isScalar(pair?.key) ? pair.key : undefined;
}
