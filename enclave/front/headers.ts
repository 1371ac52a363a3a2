// SPDX-License-Identifier: Apache-2.0
/**
 * Request headers as they were sent (RFC 9110). Node joins or drops repeated headers in its own way; what is judged here
 * is read from the raw list, so that a header which must be single is single.
 */

export type HeaderReading =
  | { readonly kind: 'none' }
  | { readonly kind: 'one'; readonly value: string }
  | { readonly kind: 'repeated' };

/** Reads a header that may stand at most once from node's `rawHeaders` (name, value, name, value). */
export function singleHeader(rawHeaders: readonly string[], name: string): HeaderReading {
  const wanted = name.toLowerCase();
  let found: string | undefined;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== wanted) continue;
    if (found !== undefined) return { kind: 'repeated' };
    found = rawHeaders[at + 1];
  }
  return found === undefined ? { kind: 'none' } : { kind: 'one', value: found };
}

/** True where the body was sent as it is: a compressed body would be judged by bytes that nobody reads. */
export function isIdentityEncoded(rawHeaders: readonly string[]): boolean {
  const encoding = singleHeader(rawHeaders, 'content-encoding');
  return encoding.kind === 'none' || (encoding.kind === 'one' && encoding.value.toLowerCase() === 'identity');
}

interface Media {
  /** Lower case, without parameters. */
  readonly type: string;
  /** By lower-case name. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Where the text goes on. */
  readonly end: number;
}

// Sticky and without nested repetition: reading is linear in the text.
const TYPE = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const SEPARATOR = /[ \t]*;[ \t]*/y;
const PARAMETER = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"((?:[\t !#-[\]-~]|\\[\t -~])*)")/y;
const COMMA = /[ \t]*(?:,[ \t]*)+/y;

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Reads one media type or range with its parameters; undefined if there is none at that place. */
function readMedia(text: string, from: number): Media | undefined {
  const type = matchAt(TYPE, text, from)?.[0];
  if (type === undefined) return undefined;
  const parameters = new Map<string, string>();
  let end = from + type.length;
  for (let separator = matchAt(SEPARATOR, text, end); separator !== null; separator = matchAt(SEPARATOR, text, end)) {
    end += separator[0].length;
    const parameter = matchAt(PARAMETER, text, end);
    // RFC 9110 section 5.6.6 lets a parameter be left out between semicolons.
    if (parameter === null) continue;
    const [whole, name = '', token, quoted = ''] = parameter;
    // Two readers may take different ones of two equal names.
    if (parameters.has(name.toLowerCase())) return undefined;
    parameters.set(name.toLowerCase(), token ?? quoted.replace(/\\(.)/g, '$1'));
    end += whole.length;
  }
  return { type: type.toLowerCase(), parameters, end };
}

/**
 * The type and subtype of a `Content-Type`, in lower case and without parameters. Undefined where it is malformed or
 * names a charset other than UTF-8: a body that is read in one charset and judged in another is not judged.
 */
export function mediaType(value: string): string | undefined {
  const media = readMedia(value, 0);
  if (media === undefined || media.end !== value.length || media.type.includes('*')) return undefined;
  const charset = media.parameters.get('charset')?.toLowerCase();
  return charset === undefined || charset === 'utf-8' || charset === 'utf8' ? media.type : undefined;
}

/** RFC 9110 section 12.4.2. */
const WEIGHT = /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/;

interface Range {
  readonly type: string;
  readonly weight: number;
}

/** The ranges of an `Accept` header; undefined where it is malformed. */
function readRanges(accept: string): Range[] | undefined {
  const ranges: Range[] = [];
  let at = matchAt(COMMA, accept, 0)?.[0].length ?? 0;
  while (at < accept.length) {
    const media = readMedia(accept, at);
    const weight = media?.parameters.get('q') ?? '1';
    if (media === undefined || !WEIGHT.test(weight)) return undefined;
    ranges.push({ type: media.type, weight: Number(weight) });
    const comma = matchAt(COMMA, accept, media.end);
    if (comma === null && media.end !== accept.length) return undefined;
    at = media.end + (comma?.[0].length ?? 0);
  }
  return ranges;
}

/**
 * True where an `Accept` header takes a type, given in lower case. The most exact range decides (RFC 9110 section
 * 12.5.1), so `application/json;q=0, *\/*` does not take JSON. Parameters of a range are ignored but for its weight.
 */
export function accepts(accept: string, type: string): boolean {
  const ranges = readRanges(accept) ?? [];
  for (const range of [type, type.replace(/\/.*$/, '/*'), '*/*']) {
    const weights = ranges.filter((item) => item.type === range).map((item) => item.weight);
    if (weights.length > 0) return Math.max(...weights) > 0;
  }
  return false;
}

/** True where an `Accept` header takes both kinds of answer that a POST may get (mcp.md section 4). */
export function acceptsBoth(accept: string): boolean {
  return accepts(accept, 'application/json') && accepts(accept, 'text/event-stream');
}
