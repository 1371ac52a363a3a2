// SPDX-License-Identifier: Apache-2.0
/**
 * Texts hidden inside a text. Each function is one pass; what does not decode to something a reader could read is not
 * reported, so that hashes and identifiers are no finding.
 */

/** Letters of a hidden text at least: shorter ones hold no instruction. */
const HIDDEN_LENGTH_MIN = 6;
/** Characters of a hidden element that are judged apart from the text around it. */
const ELEMENT_LENGTH_MAX = 2000;
const TAGS = /(?:\udb40[\udc20-\udc7f])+/g;
const SELECTORS = /(?:[\ufe00-\ufe0f]|\udb40[\udd00-\uddef])+/g;
const BASE64 = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}={0,2}/g;
const HEX = /(?<![0-9A-Fa-f])(?:(?:0x)?[0-9A-Fa-f]{2}[ :,]?){10,}/g;
const COMMENT_OPEN = '<!--';
const COMMENT_CLOSE = '-->';
const HIDING = /<[a-z][^<>]{0,200}?(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d])|color\s*:\s*(?:white|#fff|transparent)|\bhidden\b|aria-hidden)[^<>]{0,200}>/gi;
const ATTRIBUTE = /\b(?:alt|title|aria-label|content|data-[a-z]{1,20})\s*=\s*"(?<value>[^"]{24,2000})"/gi;
const SECRET_COMMENT = /\[\/\/\]:\s*#\s*\((?<value>[^)\n]{6,2000})\)/g;
const ROT13_WORDS = /\b(?:gur|naq|lbh|lbhe|vtaber|cerivbhf|vafgehpgvbaf?|flfgrz|cebzcg|cnffjbeq|frperg|hfre|frnq|fraq|svyr|abg|guvf|sbe|jvgu)\b/gi;
const REVERSED_WORDS = /\b(?:eht|dna|uoy|ruoy|erongi|suoiverp|snoitcurtsni|noitcurtsni|metsys|tpmorp|drowssap|terces|resu|dnes|elif|ton|siht|htiw|tnatsissa)\b/gi;
/** Words that have to be found in a language before a text is read in it. */
const WORDS_MIN = 3;

/** What Unicode tag characters spell. */
export function* tagTexts(text: string): Generator<string> {
  if (!text.includes('\udb40')) return;
  for (const [run] of text.matchAll(TAGS)) {
    // A flag of a region is a few tags; an instruction is more.
    if (run.length < 2 * HIDDEN_LENGTH_MIN) continue;
    let spelled = '';
    for (const point of run) spelled += String.fromCharCode((point.codePointAt(0) ?? 0) & 0x7f);
    yield spelled;
  }
}

/** What runs of variation selectors spell, one byte each. */
export function* selectorTexts(text: string): Generator<string> {
  if (!/[\ufe00-\ufe0f\udb40]/.test(text)) return;
  for (const [run] of text.matchAll(SELECTORS)) {
    const bytes: number[] = [];
    for (const character of run) {
      const point = character.codePointAt(0) ?? 0;
      bytes.push(point < 0x10000 ? point - 0xfe00 : point - 0xe0100 + 16);
    }
    if (bytes.length < HIDDEN_LENGTH_MIN) continue;
    const spelled = readable(Buffer.from(bytes));
    if (spelled !== null) yield spelled;
  }
}

/** Comments, hidden elements, attributes that are not shown, and comments of Markdown. */
export function* hiddenTexts(text: string): Generator<string> {
  for (let open = text.indexOf(COMMENT_OPEN); open !== -1; ) {
    const close = text.indexOf(COMMENT_CLOSE, open + COMMENT_OPEN.length);
    const end = close === -1 ? text.length : close;
    if (end - open > COMMENT_OPEN.length + HIDDEN_LENGTH_MIN) yield text.slice(open + COMMENT_OPEN.length, end);
    open = close === -1 ? -1 : text.indexOf(COMMENT_OPEN, end);
  }
  if (text.includes('[//]:')) for (const { groups } of text.matchAll(SECRET_COMMENT)) yield groups?.['value'] ?? '';
  if (!text.includes('<') || !text.includes('=') && !text.includes('hidden')) return;
  for (const match of text.matchAll(HIDING)) {
    const from = match.index + match[0].length;
    // To the end of the element, as far as a pass that does not parse can know it. The whole text is judged anyway.
    const inner = text.slice(from, from + ELEMENT_LENGTH_MAX);
    const close = inner.indexOf('</');
    if (close === -1 || close >= HIDDEN_LENGTH_MIN) yield close === -1 ? inner : inner.slice(0, close);
  }
  for (const { groups } of text.matchAll(ATTRIBUTE)) yield groups?.['value'] ?? '';
}

/** What runs of base64 (both alphabets, lines joined) decode to, where that is text. */
export function* base64Texts(text: string): Generator<string> {
  let joined = '';
  let end = -1;
  for (const match of text.matchAll(BASE64)) {
    if (end !== -1 && !/^\r?\n[ \t]{0,8}$/.test(text.slice(end, Math.min(match.index, end + 12)))) {
      yield* base64Text(joined);
      joined = '';
    }
    joined += match[0];
    end = match.index + match[0].length;
  }
  if (joined !== '') yield* base64Text(joined);
}

function* base64Text(run: string): Generator<string> {
  const spelled = readable(Buffer.from(run, 'base64'));
  if (spelled !== null) yield spelled;
}

/** What runs of hexadecimal bytes decode to, where that is text. */
export function* hexTexts(text: string): Generator<string> {
  for (const [run] of text.matchAll(HEX)) {
    const spelled = readable(Buffer.from(run.replace(/0x|[ :,]/g, ''), 'hex'));
    if (spelled !== null) yield spelled;
  }
}

/** The text if it has hardly a control character, as random bytes have many, and half of it is as in prose. */
function readable(bytes: Uint8Array): string | null {
  const text = Buffer.from(bytes).toString('utf8');
  if (text.length < HIDDEN_LENGTH_MIN) return null;
  const strange = text.match(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]/g)?.length ?? 0;
  const prose = text.match(/[\p{L}\p{N}\s.,;:!?'"()/@-]/gu)?.length ?? 0;
  return strange * 50 <= text.length && prose * 2 >= text.length ? text : null;
}

export function readsRot13(text: string): boolean {
  return counts(text, ROT13_WORDS);
}

export function readsReversed(text: string): boolean {
  return counts(text, REVERSED_WORDS);
}

function counts(text: string, words: RegExp): boolean {
  let count = 0;
  words.lastIndex = 0;
  while (count < WORDS_MIN && words.exec(text) !== null) count += 1;
  return count >= WORDS_MIN;
}

/** Each ASCII letter 13 further. */
export function rot13(text: string): string {
  return text.replace(/[A-Za-z]+/g, (run) => {
    const bytes = Buffer.from(run, 'latin1');
    for (const [index, byte] of bytes.entries()) bytes[index] = byte - ((byte & 0x1f) > 13 ? 13 : -13);
    return bytes.toString('latin1');
  });
}

export function reversed(text: string): string {
  return text.split('').reverse().join('');
}
