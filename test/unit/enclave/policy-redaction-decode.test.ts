// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { libraryPatterns } from '../../../enclave/policy/patterns/library.ts';
import { plainView, runViews } from '../../../enclave/policy/patterns/views.ts';
import { createRedactor, UNCHECKED } from '../../../enclave/policy/redact.ts';
import { createReplacing } from '../../../enclave/policy/replace.ts';
import { createScrubber } from '../../../enclave/policy/scrub.ts';
import { textsOf, withTexts } from '../../../enclave/policy/patterns/texts.ts';
import type { RedactionPattern } from '../../../enclave/policy/types.ts';
import type { JsonValue } from '../../../shared/json/value.ts';
import { REDACTION_DECODE_INLINE_LENGTH_MAX } from '../../../shared/limits.ts';

const decode = (pattern: RedactionPattern): RedactionPattern => ({ ...pattern, decode: true });
const CREDENTIALS = (libraryPatterns('credentials') ?? []).map(decode);
const own = (source: string, replacement = '[X]'): RedactionPattern => ({ name: source, source, replacement, decode: true });
const never = (): boolean => false;
const decoding = createReplacing(CREDENTIALS);

/** Made-up values, put together here so that no scanner takes this file for a leak. */
const alnum = (length: number): string => 'aB3dE6gH9jKLmN0pQ2sT5vW8yZ'.repeat(10).slice(0, length);
const KEY = ['AKIA', 'Q7ZP4XK2MWTR9ABD'].join('');
const TOKEN = `ghp_${alnum(36)}`;
const ANTHROPIC = `sk-ant-api03-${alnum(80)}`;
const R = '[REDACTED aws-access-key]';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const hex = (text: string): string => Buffer.from(text).toString('hex');
const each = (text: string, encode: (code: number) => string): string => Array.from(text, (one) => encode(one.charCodeAt(0))).join('');
const digits = (code: number, width: number): string => code.toString(16).padStart(width, '0');

/** Ways to write a text, each of which some reader turns back. */
const ENCODINGS: ReadonlyMap<string, (text: string) => string> = new Map([
  ['base64', base64],
  ['base64 without padding', (text) => base64(text).replaceAll('=', '')],
  ['base64url', (text) => Buffer.from(`\u00ff\u00fe>>>??? ${text}`).toString('base64url')],
  ['base64 in lines', (text) => base64(`${'words before it '.repeat(8)}${text}`).replace(/.{76}/g, '$&\r\n')],
  ['base64 of UTF-16', (text) => Buffer.from(`the key ${text}`, 'utf16le').toString('base64')],
  ['base64 of UTF-8', (text) => base64(`schl\u00fcssel: ${text} \u{1f511}`)],
  ['base64 of bytes', (text) => Buffer.concat([Buffer.from([0xff, 0x00, 0xfe, 0x80]), Buffer.from(text), Buffer.from([0xff])]).toString('base64')],
  ['base64 behind a path', (text) => `a/bc/${base64(text)}`],
  ['hexadecimal', hex],
  ['hexadecimal in capitals behind a digit', (text) => `0${hex(text).toUpperCase()}`],
  ['hexadecimal with spaces', (text) => hex(text).replace(/../g, '$& ').trim()],
  ['hexadecimal with 0x', (text) => each(text, (code) => `0x${digits(code, 2)}, `)],
  ['percent-encoding', (text) => each(text, (code) => `%${digits(code, 2)}`)],
  ['percent-encoding of one character', (text) => text.replace(/[A-Za-z]/, (one) => `%${digits(one.charCodeAt(0), 2)}`)],
  ['JSON escapes', (text) => each(text, (code) => `\\u${digits(code, 4)}`)],
  ['a JSON escape', (text) => text.replace(/[0-9]/, (one) => `\\u${digits(one.charCodeAt(0), 4)}`)],
  ['escapes with braces', (text) => each(text, (code) => `\\u{${digits(code, 2)}}`)],
  ['\\x', (text) => each(text, (code) => `\\x${digits(code, 2)}`)],
  ['HTML entities', (text) => each(text, (code) => `&#${code};`)],
  ['hexadecimal HTML entities', (text) => each(text, (code) => `&#x${digits(code, 2)};`)],
  ['zero-width spaces', (text) => Array.from(text).join('\u200b')],
  ['a soft hyphen', (text) => `${text.slice(0, 7)}\u00ad${text.slice(7)}`],
  ['tag characters and a zero byte', (text) => `${text.slice(0, 3)}\u{e0041}${text.slice(3, 9)}\u0000${text.slice(9)}`],
  ['full-width forms', (text) => each(text, (code) => String.fromCodePoint(code + 0xfee0))],
]);

for (const [what, encode] of ENCODINGS) {
  test(`a secret written with ${what} is masked with all of its run, also in two and three layers`, () => {
    for (const secret of [KEY, TOKEN, ANTHROPIC]) {
      for (const encoded of [encode(secret), base64(encode(secret)), base64(base64(encode(secret))), hex(encode(secret)), encode(base64(secret))]) {
        const text = `before it (${encoded}) after`;
        const made = decoding.text(text, never) ?? text;
        assert.match(made, /\[REDACTED [a-z-]+\].*\) after$/s, text);
        assert.ok(made.startsWith('before it ('), text);
        for (const part of encoded.match(/[A-Za-z0-9+/_-]{24,}/g) ?? []) assert.ok(!made.includes(part), `${text} -> ${made}`);
      }
    }
  });
}

test('without decode only what stands there is found', () => {
  const plain = createReplacing(libraryPatterns('credentials') ?? []);
  for (const text of [base64(KEY), hex(KEY), Array.from(KEY).join('\u200b')]) assert.equal(plain.text(text, never), text);
});

test('text that holds no secret stays as it is, whatever it could be decoded to', () => {
  for (const text of [
    base64('nothing to see here, move along please'),
    hex('nothing to see here'),
    '100%25 of &amp; \\n caf\u00e9 \ufb01ne \u200bspace',
    `data:image/png;base64,${base64('\u0089PNG and so on, for a while')}`,
    'node_modules/.bin/something-with-a-long-name/index.js',
    'f0e1d2c3-b4a5-4678-9a0b-1c2d3e4f5a6b',
  ]) {
    assert.equal(decoding.text(text, never), text);
  }
});

function redactAll(patterns: readonly RedactionPattern[], value: JsonValue): JsonValue {
  const replacing = createReplacing(patterns);
  const texts = textsOf(value, replacing.options);
  const made = replacing.all(texts, never);
  return JSON.parse(JSON.stringify(withTexts(value, texts.texts, made.map((text) => text ?? UNCHECKED)))) as JsonValue;
}

const PEM = ['-----BEGIN PRIVATE KEY-----', alnum(64), alnum(64), alnum(20), '-----END PRIVATE KEY-----'];
const [HEAD, TAIL] = [KEY.slice(0, 9), KEY.slice(9)];

const SPLIT: readonly (readonly [what: string, before: JsonValue, after: JsonValue])[] = [
  ['two strings of an array', [HEAD, TAIL], [R, R]],
  ['two strings among others', ['x', HEAD, TAIL, 'y'], ['x', R, R, 'y']],
  ['single characters among words', ['word', ...Array.from(KEY), 'word'], ['word', ...Array.from(KEY, () => R), 'word']],
  ['the end of one string and the begin of the next', [`see ${HEAD}`, `${TAIL} there`], [`see ${R}`, `${R} there`]],
  ['strings with others that are no strings between them', [HEAD, null, 7, TAIL, true], [R, null, 7, R, true]],
  ['strings with empty ones between them', [HEAD, '', TAIL], [R, '', R]],
  ['two members of an object', { a: HEAD, b: TAIL }, { a: R, b: R }],
  ['a name and its value', { [HEAD]: TAIL, c: 'd' }, { [R]: R, c: 'd' }],
  ['two names', { [HEAD]: 1, [TAIL]: 2 }, { [R]: 1, [`${R}#2`]: 2 }],
  ['blocks of content', [{ type: 'text', text: `it is ${HEAD}` }, { type: 'text', text: TAIL }], [{ type: 'text', text: `it is ${R}` }, { type: 'text', text: R }]],
  [
    'blocks with another block between them',
    [{ type: 'text', text: HEAD }, { type: 'link', uri: 'x:y' }, { type: 'text', text: TAIL }],
    [{ type: 'text', text: R }, { type: 'link', uri: 'x:y' }, { type: 'text', text: R }],
  ],
  ['members of one name in different depths', { p: { text: HEAD }, q: [{ r: { text: TAIL } }] }, { p: { text: R }, q: [{ r: { text: R } }] }],
  ['lines of a private key', ['a', ...PEM, 'z'], ['a', ...PEM.map(() => '[REDACTED private-key]'), 'z']],
  ['a half that would do by itself', [ANTHROPIC.slice(0, 50), ANTHROPIC.slice(50, 70), ANTHROPIC.slice(70)], ['[REDACTED anthropic-key]', '[REDACTED anthropic-key]', '[REDACTED anthropic-key]']],
  ['a value, under a name that only stands beside it', { k: 'password=hun', v: 'ter2' }, { k: '[REDACTED generic-secret]', v: '[REDACTED generic-secret]' }],
  ['halves with invisible characters', [`${HEAD}\u200b`, `\u200b${TAIL}`], [R, R]],
];

for (const [what, before, after] of SPLIT) {
  test(`a secret is found in ${what}`, () => {
    assert.deepEqual(redactAll(CREDENTIALS, before), after);
  });
}

test('a secret whose encoding is spread over strings is found', () => {
  for (const encode of [base64, hex]) {
    const encoded = encode(`the key is ${KEY}, keep it`);
    const made = JSON.stringify(redactAll(CREDENTIALS, ['name', encoded.slice(0, 24), encoded.slice(24, 30), encoded.slice(30), 'word']));
    assert.ok(made.includes(R));
    assert.ok(!made.includes(encoded.slice(24, 30)) && !made.includes(encoded.slice(30, 46)));
    assert.ok(made.startsWith('["name",') && made.endsWith(',"word"]'));
  }
});

test('what stands beside a secret stays, and neighbours that only look like one together do too', () => {
  for (const [before, after] of [
    [[KEY, 'main', 'README'], [R, 'main', 'README']],
    [[TOKEN, 'main', 'README'], ['[REDACTED github-token]', 'main', 'README']],
    [['main', KEY], ['main', R]],
    [['main', 'password=hunter2', 'main'], ['main', '[REDACTED generic-secret]', 'main']],
    [['foo', 'bar', 'lorem', 'ipsum', 'dolor'], ['foo', 'bar', 'lorem', 'ipsum', 'dolor']],
  ] as const) {
    assert.deepEqual(redactAll(CREDENTIALS, [...before]), after);
  }
  const ssn = (libraryPatterns('us-ssn') ?? []).map(decode);
  assert.deepEqual(redactAll(ssn, ['2023-11-05', '2024-01-02']), ['2023-11-05', '2024-01-02']);
  assert.deepEqual(redactAll(ssn, ['078-0', '5-1120']), ['[REDACTED us-ssn]', '[REDACTED us-ssn]']);
});

test('halves in long strings are found, and neighbours are not looked at without decode', () => {
  const filler = 'lorem ipsum '.repeat(2000);
  const made = redactAll(CREDENTIALS, [`${filler}${HEAD}`, `${TAIL} ${filler}`]);
  assert.deepEqual(made, [`${filler}${R}`, `${R} ${filler}`]);
  assert.deepEqual(redactAll(libraryPatterns('credentials') ?? [], [HEAD, TAIL]), [HEAD, TAIL]);
});

test('patterns with anchors and checks are found across strings', () => {
  const card = (libraryPatterns('card') ?? []).map(decode);
  assert.deepEqual(redactAll(card, ['12', '41111111', '11111111', '99']), ['12', '[REDACTED card]', '[REDACTED card]', '99']);
  assert.deepEqual(redactAll(card, ['41111111', '11111112']), ['41111111', '11111112']);
  assert.deepEqual(redactAll([own('^ab[$^]c\\b')], ['x', 'ab', '$c', 'x']), ['x', '[X]', '[X]', 'x']);
});

test('every view says where its parts come from', () => {
  const unit = fc.constantFrom('a', 'Z', '0', ' ', '%41', '%c3%a9', '\\u0041', '\\n', '&#65;', '&amp;', '\u200b', '\uff21', '\u{1d400}', '\u00e9', '\ud800');
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 30 }), (units) => {
      const text = units.join('');
      const view = plainView(text, true);
      if (view === null) return;
      let end = 0;
      for (let at = 0; at < view.text.length; at += 1) {
        const [from, to] = view.span(at, at + 1);
        assert.ok(from >= 0 && from < to && to <= text.length && to >= end);
        end = to;
        const shown: string = view.text[at] ?? '';
        if (to - from === 1 && /[a-z0-9 ]/i.test(shown) && text[from] !== '\uff21') assert.equal(text[from], shown);
      }
    }),
    { numRuns: 500 },
  );
  const run = base64(`0123456789 ${KEY} 0123456789`);
  for (const view of runViews(`x ${run}`)) {
    const at = view.text.indexOf(KEY);
    if (at === -1) continue;
    const [from, to] = view.span(at, at + KEY.length);
    assert.ok(Buffer.from(`x ${run}`.slice(from, to), 'base64').length >= KEY.length - 2);
    assert.ok(to - from <= Math.ceil((KEY.length * 4) / 3) + 2);
    return;
  }
  assert.fail('no view shows the key');
});

test('no listed secret survives in a value, wherever it stands, and the shape stays', () => {
  const encodings = [(text: string): string => text, ...ENCODINGS.values()];
  const secret = fc.constantFrom(KEY, TOKEN, ANTHROPIC);
  const encoded = fc.tuple(secret, fc.constantFrom(...encodings), fc.constantFrom('', 'x ', 'say "', '(')).map(([text, encode, before]) => before + encode(text));
  const leaf = fc.oneof(encoded, fc.string({ maxLength: 12 }), fc.integer(), fc.constant(null));
  const { value: arbitrary } = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, leaf, fc.array(tie('value'), { maxLength: 4 }), fc.dictionary(fc.oneof(encoded, fc.string({ maxLength: 8 })), tie('value'), { maxKeys: 3, noNullPrototype: true })),
  }));
  const shape = (value: JsonValue): unknown => {
    if (Array.isArray(value)) return value.map(shape);
    if (value !== null && typeof value === 'object') return Object.values(value).map(shape);
    return 0;
  };
  fc.assert(
    fc.property(arbitrary, (value) => {
      const texts = textsOf(value, decoding.options);
      const made = withTexts(value, texts.texts, decoding.all(texts, never).map((text) => text ?? UNCHECKED));
      const text = JSON.stringify(made);
      for (const lost of [KEY, TOKEN, ANTHROPIC]) {
        for (const encode of encodings) assert.ok(!text.includes(JSON.stringify(encode(lost)).slice(1, -1)), text);
      }
      assert.deepEqual(shape(made), shape(value));
      const again = textsOf(made, decoding.options);
      assert.deepEqual(decoding.all(again, never), again.texts);
    }),
    { numRuns: 300 },
  );
});

test('texts made to be decoded without end are masked, not passed on', () => {
  const texts = textsOf(['fine', { nested: 'V'.repeat(100_000) }, 'fine'], decoding.options);
  const made = decoding.all(texts, never);
  assert.deepEqual(made.map((text) => text?.length ?? null), [4, null, null, 4]);
});

const HOSTILE: readonly (readonly [what: string, value: JsonValue])[] = [
  ['zero-width characters', 'a\u200b'.repeat(50_000)],
  ['percent signs', '%41'.repeat(40_000)],
  ['digits', '4'.repeat(100_000)],
  ['begins of keys', Array.from({ length: 8000 }, () => 'AKIA')],
  ['halves of keys', Array.from({ length: 8000 }, (_, index) => (index % 2 === 0 ? HEAD : TAIL))],
  ['single characters', Array.from('eyJa.'.repeat(4000))],
  ['begins of private keys', Array.from({ length: 1000 }, () => '-----BEGIN PRIVATE KEY-----')],
  ['small objects', Array.from({ length: 4000 }, (_, index) => ({ id: index, name: 'n', password: 'x' }))],
];

for (const [what, value] of HOSTILE) {
  test(`decoding takes linear time for many ${what}`, () => {
    // Quadratic time would take minutes: the runner's own limit says so.
    const texts = textsOf(value, decoding.options);
    const made = decoding.all(texts, never);
    assert.equal(made.length, texts.texts.length);
  });
}

test('values are decoded in the worker as on the event loop', async () => {
  const filler = 'word '.repeat(REDACTION_DECODE_INLINE_LENGTH_MAX / 4);
  const redactor = createRedactor({ patterns: CREDENTIALS, now: () => assert.fail('not on the event loop'), workerMs: 60_000 });
  try {
    const made = await redactor.redact([filler, base64(KEY), HEAD, TAIL]);
    assert.deepEqual(made, { value: [filler, `${R}=`, R, R], count: 3, masked: 0 });
  } finally {
    await redactor.close();
  }
});

test('the time of a value counts for decoding as well', () => {
  const expired = ((left) => (): boolean => left-- <= 0)(3);
  const texts = textsOf(['fine', `see ${KEY}`, base64(KEY)], decoding.options);
  const made = decoding.all(texts, expired);
  assert.ok(made.some((text) => text === null));
  assert.ok(!JSON.stringify(made).includes(KEY) && !JSON.stringify(made).includes(base64(KEY).slice(0, 20)));
  assert.equal(decoding.text('fine', () => true), null);
});

test('what is stored is scrubbed of encoded and divided secrets where the policy says decode', () => {
  const scrubber = createScrubber(CREDENTIALS);
  assert.equal(scrubber.json(JSON.stringify({ a: [HEAD, TAIL], b: base64(KEY) })), `{"a":["${R}","${R}"],"b":"${R}="}`);
  assert.equal(scrubber.text(`x ${hex(KEY)}`), `x ${R}`);
});
