// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { loadPolicy } from '../../../enclave/policy/compile.ts';
import type { Redactor } from '../../../enclave/policy/redact.ts';
import { createRedactor, UNCHECKED } from '../../../enclave/policy/redact.ts';
import { compileRegex, compileRegexSet } from '../../../enclave/policy/regex.ts';
import { createScrubber } from '../../../enclave/policy/scrub.ts';
import type { Policy, RedactionPattern } from '../../../enclave/policy/types.ts';
import type { JsonValue } from '../../../shared/json/value.ts';
import { REDACTION_INLINE_BYTES_MAX, REDACTION_MS_MAX } from '../../../shared/limits.ts';

const pattern = (source: string, replacement = '[X]'): RedactionPattern => ({ name: source, source, replacement });

async function redact(patterns: readonly RedactionPattern[], value: JsonValue): Promise<{ value: JsonValue; count: number }> {
  const redactor = createRedactor({ patterns });
  const made = await redactor.redact(value);
  await redactor.close();
  assert.equal(made.masked, 0);
  return { value: JSON.parse(JSON.stringify(made.value)) as JsonValue, count: made.count };
}

const TABLE: readonly (readonly [what: string, patterns: readonly RedactionPattern[], before: JsonValue, after: JsonValue, count: number])[] = [
  ['a value', [pattern('s3cret')], { a: 'my s3cret s3cret' }, { a: 'my [X] [X]' }, 1],
  ['a value at any depth', [pattern('s3cret')], { a: [{ b: [['s3cret']] }] }, { a: [{ b: [['[X]']] }] }, 1],
  ['a key', [pattern('s3cret')], { s3cret: { my_s3cret: 1 } }, { '[X]': { 'my_[X]': 1 } }, 2],
  ['a number', [pattern('^4111\\d{12}$')], [4111111111111111, 4111], ['[X]', 4111], 1],
  ['part of a number', [pattern('12')], [3.125, -12, 0], ['3.[X]5', '-[X]', 0], 2],
  ['nothing in booleans and null', [pattern('true|null')], [true, null, 'true'], [true, null, '[X]'], 1],
  ['text beyond ASCII', [pattern('[\u00e4\u{1f600}]+')], ['x\u00e4\u{1f600}y'], ['x[X]y'], 1],
  ['a scalar by itself', [pattern('a')], 'a', '[X]', 1],
  ['nothing where nothing matches', [pattern('zzz')], { a: ['b', 1] }, { a: ['b', 1] }, 0],
  ['with a literal replacement', [pattern('(a)b', "$&$1$$$`$'\\1\\0$<x>")], ['xaby'], ["x$&$1$$$`$'\\1\\0$<x>y"], 1],
  ['with an empty replacement', [pattern('a', '')], ['banana'], ['bnn'], 1],
  ['by several patterns in order', [pattern('a', 'b'), pattern('b', 'c')], ['ab'], ['cc'], 1],
  ['what an earlier replacement joined', [pattern('-', ''), pattern('s3cret')], ['s3-cret'], ['[X]'], 1],
  ['regardless of case if it says so', [pattern('(?i)secret')], ['SeCrEt'], ['[X]'], 1],
  ['over lines only if it says so', [pattern('a.b'), pattern('(?s)c.d')], ['a\nb c\nd'], ['a\nb [X]'], 1],
  ['a text that holds a zero byte', [pattern('s3cret')], ['a\u0000s3cret'], ['a\u0000[X]'], 1],
];

for (const [what, patterns, before, after, count] of TABLE) {
  test(`redaction replaces ${what}`, async () => {
    assert.deepEqual(await redact(patterns, before), { value: after, count });
  });
}

test('keys that become equal are all kept, and a key that was there keeps its name', async () => {
  const { value, count } = await redact([pattern('k\\d')], { k1: 1, k2: 2, '[X]': 3, '[X]#2': 4, k3: 5 });
  assert.deepEqual(value, { '[X]': 3, '[X]#2': 4, '[X]#3': 1, '[X]#4': 2, '[X]#5': 5 });
  assert.equal(count, 3);
});

test('redaction cannot make the key __proto__', async () => {
  const redactor = createRedactor({ patterns: [pattern('s3cret', '')] });
  const made = await redactor.redact({ __s3cretproto__: { polluted: 1 } });
  assert.equal(JSON.stringify(made.value), '{"__proto__#2":{"polluted":1}}');
});

test('many keys that become equal take linear time', async () => {
  const keys = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, 0]));
  const redactor = createRedactor({ patterns: [pattern('k\\d+')], now: () => 0, workerMs: 30_000 });
  const made = await redactor.redact(keys);
  assert.equal(Object.keys(made.value as object).length, 20_000);
});

test('no value, key or number that matches is left, and nothing else changes', async () => {
  const redactor = createRedactor({ patterns: [pattern('[a-c]+7?', '#'), pattern('7', '#')], now: () => 0 });
  const arbitrary = fc.jsonValue({ maxDepth: 4, stringUnit: fc.constantFrom('a', 'b', 'x', '7', '\u{1f600}', '"') });
  await fc.assert(
    fc.asyncProperty(arbitrary, async (value) => {
      const made = await redactor.redact(value as JsonValue);
      const text = JSON.stringify(made.value);
      assert.doesNotMatch(text.replaceAll(/true|false|null/g, ''), /[abc7]/);
      if (made.count === 0) assert.equal(text, JSON.stringify(value));
    }),
    { numRuns: 500 },
  );
});

/** A clock that says after how many looks the budget is over. */
function clockAfter(looks: number): () => number {
  let left = looks;
  return () => (left-- > 0 ? 0 : REDACTION_MS_MAX + 1);
}

test('what was not checked when the budget ran out is masked, strings, keys and numbers alike', async () => {
  const patterns = Array.from({ length: 10 }, (_, index) => pattern(`a${index}`));
  const value = { text: patterns.map(({ source }) => source).join(' '), b: [1, true, null] };
  for (const looks of [1, 3, 8]) {
    const made = await createRedactor({ patterns, now: clockAfter(looks) }).redact(value);
    assert.ok(made.masked > 0 && made.count >= made.masked);
    assert.doesNotMatch(JSON.stringify(made.value), /a\d/);
    assert.ok(JSON.stringify(made.value).includes(UNCHECKED));
  }
  const none = await createRedactor({ patterns, now: clockAfter(1) }).redact(value);
  assert.equal(JSON.stringify(none.value), JSON.stringify({ [UNCHECKED]: UNCHECKED, [`${UNCHECKED}#2`]: [UNCHECKED, true, null] }));
  assert.deepEqual([none.count, none.masked], [4, 4]);
  assert.equal((await createRedactor({ patterns, now: clockAfter(1000) }).redact(value)).masked, 0);
});

test('a value in which nothing matches is handed on as the same object', async () => {
  const value = { a: ['b', 1, { c: null }] };
  assert.equal((await createRedactor({ patterns: [pattern('zzz')] }).redact(value)).value, value);
});

test('a key that becomes a number keeps its place among the others', async () => {
  const made = await createRedactor({ patterns: [pattern('k', '')] }).redact({ b: 'first', k12: 'second', c: 'third' });
  assert.equal(JSON.stringify(made.value), '{"b":"first","12#2":"second","c":"third"}');
});

test('a policy without redaction hands arguments on untouched', async () => {
  const loaded = await loadPolicy(new TextEncoder().encode('version: 1\n'));
  const value = { a: 'password=hunter2' };
  assert.deepEqual(await loaded.redact('c2s', 'srv', value), { value, count: 0, masked: 0 });
});

/** Longer than what is redacted on the event loop. */
const filler = 'lorem ipsum \u00e4\u{1f600} '.repeat(Math.ceil(REDACTION_INLINE_BYTES_MAX / 16));

async function withRedactor(redactor: Redactor, use: () => Promise<void>): Promise<void> {
  try {
    await use();
  } finally {
    await redactor.close();
  }
}

test('long strings are redacted in a worker with the same outcome, one after the other', async () => {
  const redactor = createRedactor({ patterns: [pattern('s3cret', '$&')], now: () => assert.fail('not on the event loop'), workerMs: 60_000 });
  await withRedactor(redactor, async () => {
    const values = Array.from({ length: 4 }, (_, index) => ({ s3cret: [`${filler}s3cret`, index], other: `s3cret${index}` }));
    const made = await Promise.all(values.map((value) => redactor.redact(value)));
    for (const [index, redaction] of made.entries()) {
      assert.deepEqual([redaction.count, redaction.masked], [3, 0]);
      assert.equal(JSON.stringify(redaction.value), JSON.stringify({ '$&': [`${filler}$&`, index], other: `$&${index}` }));
    }
  });
});

test('a worker that is not done in time is ended, the value is masked, and the next value is served', async () => {
  const stuck = new URL('data:text/javascript,import{parentPort as p,workerData as d}from"node:worker_threads";p.on("message",({texts:{texts:t}})=>{if(t[0]===d[0].replacement){for(;;);}p.postMessage(t)});p.postMessage("ready")');
  const redactor = createRedactor({ patterns: [pattern('x', 'STUCK')], workerMs: 2000, entry: stuck });
  await withRedactor(redactor, async () => {
    const [late, next] = await Promise.all([redactor.redact(['STUCK', filler]), redactor.redact(['fine', filler])]);
    assert.deepEqual(late, { value: [UNCHECKED, UNCHECKED], count: 2, masked: 2 });
    assert.deepEqual(next, { value: ['fine', filler], count: 0, masked: 0 });
  });
});

const MASKED = { value: [UNCHECKED], count: 1, masked: 1 };

const BROKEN: readonly (readonly [what: string, code: string])[] = [
  ['does not start', 'throw new Error("no")'],
  ['ends at once', 'process.exit(0)'],
  ['says something else', 'import{parentPort as p}from"node:worker_threads";p.on("message",()=>p.postMessage("x"));p.postMessage("ready")'],
  ['answers with too few texts', 'import{parentPort as p}from"node:worker_threads";p.on("message",()=>p.postMessage([]));p.postMessage("ready")'],
  ['fails at a value', 'import{parentPort as p}from"node:worker_threads";p.on("message",()=>{throw new Error("no")});p.postMessage("ready")'],
];

for (const [what, code] of BROKEN) {
  test(`a worker that ${what} lets nothing pass`, async () => {
    const redactor = createRedactor({ patterns: [pattern('x')], workerMs: 60_000, entry: new URL(`data:text/javascript,${code}`) });
    await withRedactor(redactor, async () => {
      assert.deepEqual(await redactor.redact([filler]), MASKED);
      assert.deepEqual(await redactor.redact([filler]), MASKED);
    });
  });
}

test('a closed redactor lets no long value pass and starts no worker', async () => {
  const redactor = createRedactor({ patterns: [pattern('x')] });
  const waiting = redactor.redact([filler]);
  await redactor.close();
  assert.deepEqual(await waiting, MASKED);
  assert.deepEqual(await redactor.redact([filler]), MASKED);
});

async function policyOf(text: string): Promise<Policy> {
  return loadPolicy(new TextEncoder().encode(text));
}

test('a policy scrubs what is stored with its own patterns and the built-in ones', async () => {
  const loaded = await policyOf("version: 1\nredact_args: [{pattern: 'PROJECT-\\d+', replacement: '$&'}]\n");
  assert.equal(loaded.scrubText('PROJECT-42 password=hunter2'), '$& [REDACTED generic-secret]');
  assert.equal(createScrubber(loaded.scrubPatterns).json('{"PROJECT-1":"Bearer abcdef123456"}'), '{"$&":"[REDACTED bearer-header]"}');
  const made = await loaded.redact('c2s', 'srv', { a: 'PROJECT-42 password=hunter2' });
  assert.equal(JSON.stringify(made), '{"value":{"a":"$& password=hunter2"},"count":1,"masked":0}');
});

test('a scrubber answers with canonical JSON, and with null where the budget is over or the text is no JSON', () => {
  const scrubber = createScrubber([pattern('s3cret')]);
  assert.equal(scrubber.json(' {"b":1.0,"a":"s3\\u0063ret","s3cret":null} '), '{"[X]":null,"a":"[X]","b":1}');
  assert.equal(scrubber.json('{'), null);
  assert.equal(scrubber.json('"\\ud800"'), null);
  assert.equal(createScrubber([pattern('s3cret')], clockAfter(1)).json('"s3cret"'), null);
  assert.equal(createScrubber([pattern('s3cret')], clockAfter(1)).text('s3cret'), null);
  assert.equal(createScrubber([]).json('{"b":[],"a":{}}'), '{"a":{},"b":[]}');
  assert.equal(createScrubber([]).text('as it is'), 'as it is');
});

test('a set of patterns names every pattern that matches, however many there are', () => {
  const sources = Array.from({ length: 3000 }, (_, index) => `key${index}x[a-z0-9]{20,40}`);
  const set = compileRegexSet(sources);
  const found = set.candidates(`key7x${'a'.repeat(30)} key2999x${'b'.repeat(30)}`);
  assert.ok(found.includes(7) && found.includes(2999));
  assert.deepEqual(compileRegexSet([]).candidates('x'), []);
});

test('a set and its patterns agree on short and long texts', () => {
  const sources = ['a+b', '^x', 'y$', '\u00e4', '(?i)Q', '[^a-z]{3}', '\\bz\\b'];
  const set = compileRegexSet(sources);
  const regexes = sources.map((source) => {
    const compiled = compileRegex(source);
    assert.ok(compiled.ok);
    return compiled.regex;
  });
  const unit = fc.constantFrom('a', 'b', 'x', 'y', 'z', 'q', ' ', '\u00e4', '\u{1f600}', '\n');
  const text = fc.oneof(fc.string({ unit, maxLength: 12 }), fc.string({ unit, maxLength: 12 }).map((part) => part + ' -'.repeat(2000) + part));
  fc.assert(
    fc.property(text, (text) => {
      const expected = regexes.flatMap((regex, index) => (regex.test(text) ? [index] : []));
      assert.deepEqual(set.candidates(text), expected);
    }),
    { numRuns: 1000 },
  );
});

test('replacing a million matches takes linear time', () => {
  const compiled = compileRegex('[a-z]');
  assert.ok(compiled.ok);
  assert.equal(compiled.regex.replaceAll('a\u00e4'.repeat(1_000_000), '$1').length, 3_000_000);
});
