// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { accepts, acceptsBoth, isIdentityEncoded, mediaType, singleHeader } from '../../../../enclave/front/headers.ts';

test('a header is found by its name in any case, and told apart from a repeated one', () => {
  const raw = ['Host', 'a', 'X-One', '1', 'x-two', '1', 'X-TWO', '2'];
  assert.deepEqual(singleHeader(raw, 'x-one'), { kind: 'one', value: '1' });
  assert.deepEqual(singleHeader(raw, 'X-ONE'), { kind: 'one', value: '1' });
  assert.deepEqual(singleHeader(raw, 'x-two'), { kind: 'repeated' });
  assert.deepEqual(singleHeader(raw, 'x-three'), { kind: 'none' });
});

test('a value is never taken for a name, and an empty value is a value', () => {
  assert.deepEqual(singleHeader(['a', 'b', 'b', 'c'], 'b'), { kind: 'one', value: 'c' });
  assert.deepEqual(singleHeader(['a', 'b'], 'b'), { kind: 'none' });
  assert.deepEqual(singleHeader(['a', ''], 'a'), { kind: 'one', value: '' });
  assert.deepEqual(singleHeader(['a', '', 'a', ''], 'a'), { kind: 'repeated' });
});

test('names of inherited members are headers like others', () => {
  assert.deepEqual(singleHeader(['a', 'b'], '__proto__'), { kind: 'none' });
  assert.deepEqual(singleHeader(['constructor', 'b'], 'constructor'), { kind: 'one', value: 'b' });
});

const media: readonly [string, string | undefined][] = [
  ['application/json', 'application/json'],
  ['Application/JSON', 'application/json'],
  ['application/json;charset=utf-8', 'application/json'],
  ['application/json; charset=UTF-8', 'application/json'],
  ['application/json ;\tcharset=utf8', 'application/json'],
  ['application/json; Charset="utf-8"', 'application/json'],
  ['application/json; charset="u\\tf-8"', 'application/json'],
  ['application/json; profile="a;b,\\"c"; charset=utf-8', 'application/json'],
  ['application/json;', 'application/json'],
  ['application/json;;charset=utf-8', 'application/json'],
  ['text/event-stream', 'text/event-stream'],
  ['', undefined],
  ['json', undefined],
  ['application/', undefined],
  ['/json', undefined],
  ['application /json', undefined],
  [' application/json', undefined],
  ['application/json ', undefined],
  ['application/json, application/json', undefined],
  ['application/json/x', undefined],
  ['application/*', undefined],
  ['*/*', undefined],
  ['application/json; charset=utf-16', undefined],
  ['application/json; charset=utf-7', undefined],
  ['application/json; charset=iso-8859-1', undefined],
  ['application/json; charset=', undefined],
  ['application/json; charset=""', undefined],
  ['application/json; charset', undefined],
  ['application/json; charset =utf-8', undefined],
  ['application/json; charset="utf-8', undefined],
  ['application/json; charset=utf-8; charset=utf-8', undefined],
  ['application/json; charset=utf-8; CHARSET=utf-16', undefined],
  ['application/json; a=1; A=2', undefined],
  ['application/json charset=utf-8', undefined],
  ['application/json; charset=utf-8 x', undefined],
  ['application/json\u00a0', undefined],
  ['application/jso\u0144', undefined],
];

for (const [value, expected] of media) {
  test(`the media type of ${JSON.stringify(value)} is ${expected ?? 'refused'}`, () => assert.equal(mediaType(value), expected));
}

const both: readonly [string, boolean][] = [
  ['application/json, text/event-stream', true],
  ['text/event-stream,application/json', true],
  ['Application/JSON, Text/Event-Stream', true],
  ['application/json;q=0.9, text/event-stream;q=0.001', true],
  ['*/*', true],
  ['application/*, text/*', true],
  ['application/json; charset=utf-8, text/event-stream', true],
  [' , application/json ,, text/event-stream,', true],
  ['application/json, */*;q=0.1', true],
  ['', false],
  ['application/json', false],
  ['text/event-stream', false],
  ['application/*', false],
  ['text/html, application/xml', false],
  ['application/json, text/event-stream;q=0', false],
  ['application/json;q=0.000, text/event-stream', false],
  ['application/json;Q=0, */*', false],
  ['*/*;q=0', false],
  ['application/json, text/*;q=0, */*', false],
  ['application/json text/event-stream', false],
  ['application/json; text/event-stream', false],
  ['application/json, text/event-stream, junk', false],
  ['application/json, text/event-stream junk', false],
  ['application/json, text/event-stream;q=2', false],
  ['application/json, text/event-stream;q=x', false],
  ['application/json, text/event-stream;q=0.0001', false],
  ['application/json;q=1;q=0, text/event-stream', false],
  ['application/jsonp, text/event-streams', false],
  ['*/json, */event-stream', false],
  ['"application/json, text/event-stream"', false],
];

for (const [accept, expected] of both) {
  test(`Accept ${JSON.stringify(accept)} ${expected ? 'takes' : 'does not take'} both kinds of answer`, () => assert.equal(acceptsBoth(accept), expected));
}

test('one type is accepted by its most exact range', () => {
  assert.equal(accepts('text/*;q=0, text/event-stream', 'text/event-stream'), true);
  assert.equal(accepts('text/event-stream;q=0, text/event-stream;v=1', 'text/event-stream'), true);
  assert.equal(accepts('text/event-stream;q=0, text/*', 'text/event-stream'), false);
});

const encodings: readonly [string[], boolean][] = [
  [[], true],
  [['Content-Encoding', 'identity'], true],
  [['content-encoding', 'Identity'], true],
  [['Content-Encoding', ''], false],
  [['Content-Encoding', 'gzip'], false],
  [['Content-Encoding', 'identity, gzip'], false],
  [['Content-Encoding', 'identity', 'Content-Encoding', 'identity'], false],
];

for (const [raw, expected] of encodings) {
  test(`a body sent with ${JSON.stringify(raw)} is ${expected ? '' : 'not '}as it is`, () => assert.equal(isIdentityEncoded(raw), expected));
}

const token = fc.string({ unit: fc.constantFrom(...Array.from("abcXYZ019!#$%&'+-.^_`|~")), minLength: 1, maxLength: 8 });

test('any type with any parameters is read back, token or quoted, in any case and with any blanks', () => {
  const text = fc.string({ unit: fc.constantFrom(...Array.from('ab "\\;,=/\t~')), maxLength: 8 });
  const quoted = (value: string): string => `"${value.replace(/["\\]/g, '\\$&')}"`;
  const parameters = fc.uniqueArray(fc.tuple(token, fc.oneof(token, text.map(quoted))), { selector: ([name]) => name.toLowerCase(), maxLength: 4 });
  const blank = fc.constantFrom('', ' ', '\t ');
  fc.assert(
    fc.property(token, token, parameters, blank, (type, subtype, list, space) => {
      const header = `${type}/${subtype}${list.map(([name, value]) => `${space};${space}x${name}=${value}`).join('')}`;
      assert.equal(mediaType(header), `${type}/${subtype}`.toLowerCase());
      assert.equal(accepts(`a/b${space},${space}${header}`, `${type}/${subtype}`.toLowerCase()), true);
    }),
  );
});

test('reading takes linear time, also for what is malformed', () => {
  for (const part of [' ', ';', ' ;', ',', ' ,', 'a/b,', 'a/b;a="', ';a=1', '\\"']) {
    const long = `a/b${part.repeat(262_144 / part.length)}!`;
    const before = performance.now();
    mediaType(long);
    acceptsBoth(long);
    assert.ok(performance.now() - before < 1000, JSON.stringify(part));
  }
});
