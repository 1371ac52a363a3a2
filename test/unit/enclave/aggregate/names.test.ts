// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { clientName, NameBook, splitClientName } from '../../../../enclave/aggregate/names.ts';

const serverId = fc.stringMatching(/^[a-z0-9-]{1,24}$/);

const cases: readonly { own: string; shown: string | RegExp; why: string }[] = [
  { own: 'echo', shown: 'files__echo', why: 'a name that fits stays as it is' },
  { own: 'a_b-C9', shown: 'files__a_b-C9', why: 'all characters that model APIs take stay' },
  { own: '', shown: 'files__', why: 'an empty name is a name' },
  { own: '__x', shown: 'files____x', why: 'underscores of its own stay' },
  { own: 'x'.repeat(57), shown: `files__${'x'.repeat(57)}`, why: 'as long as the limit stays' },
  { own: 'x'.repeat(58), shown: /^files__x{48}_[0-9a-f]{8}$/, why: 'one longer is cut and marked' },
  { own: 'a.b', shown: /^files__a_b_[0-9a-f]{8}$/, why: 'other characters are replaced and the name is marked' },
  { own: 'größe', shown: /^files__gr__e_[0-9a-f]{8}$/, why: 'so are letters beyond ASCII' },
  { own: '😀', shown: /^files____[0-9a-f]{8}$/, why: 'a character of two units is one' },
];

for (const { own, shown, why } of cases) {
  test(`the client's name of ${JSON.stringify(own.slice(0, 12))}: ${why}`, () => {
    const name = clientName('files', own);
    if (typeof shown === 'string') assert.equal(name, shown);
    else assert.match(name, shown);
  });
}

test("a client's name is at most 64 characters of A-Z, a-z, 0-9, _ and -, and always names its server", () => {
  fc.assert(
    fc.property(serverId, fc.string({ unit: 'binary', maxLength: 80 }), (server, own) => {
      const name = clientName(server, own);
      assert.match(name, /^[A-Za-z0-9_-]{1,64}$/);
      assert.equal(splitClientName(name)?.server, server);
    }),
  );
});

test('a name that was not cut says what it stands for, and no two servers share one', () => {
  fc.assert(
    fc.property(serverId, serverId, fc.stringMatching(/^[A-Za-z0-9_-]{0,38}$/), fc.stringMatching(/^[A-Za-z0-9_-]{0,38}$/), (server, other, own, otherOwn) => {
      assert.equal(splitClientName(clientName(server, own))?.rest, own);
      assert.equal(clientName(server, own) === clientName(other, otherOwn), server === other && own === otherOwn);
    }),
  );
});

for (const name of ['echo', '__echo', 'files_echo', 'files__a.b', `files__${'x'.repeat(60)}`, 'files__ e', '']) {
  test(`${JSON.stringify(name.slice(0, 20))} is no client's name`, () => {
    assert.equal(splitClientName(name), null);
  });
}

test('only what ends like a mark may have been cut', () => {
  assert.equal(splitClientName('files__read_0123abcd')?.shortened, true);
  assert.equal(splitClientName('files__read_0123abcg')?.shortened, false);
  assert.equal(splitClientName('files__read0123abcd')?.shortened, false);
});

test('a book tells the own name of what was listed, whatever was done to it', () => {
  const book = new NameBook('files');
  const own = 'some.thing/with other characters and a length that no model API would ever take';
  const name = book.learn(own) ?? '';
  assert.equal(book.own(name), own);
  assert.equal(book.own('files__else'), undefined);
});

test('the same name listed twice is the same name', () => {
  const book = new NameBook('files');
  assert.equal(book.learn('a'), 'files__a');
  assert.equal(book.learn('a'), 'files__a');
});

test('the later of two names that would look the same to clients has none', () => {
  const book = new NameBook('files');
  const cut = clientName('files', 'a.b');
  assert.equal(book.learn('a.b'), cut);
  const twin = cut.slice('files__'.length);
  assert.equal(book.learn(twin), null);
  assert.equal(book.own(cut), 'a.b');
});

test('while a new listing is paged through, the names of the last one still lead somewhere', () => {
  const book = new NameBook('files');
  const [first, second] = [book.learn('a.1') ?? '', book.learn('a.2') ?? ''];
  book.begin();
  book.learn('a.1');
  assert.equal(book.own(first), 'a.1');
  assert.equal(book.own(second), 'a.2');
  book.begin();
  assert.equal(book.own(second), undefined);
});

test('a book has an end, and forgets the oldest', () => {
  const book = new NameBook('files');
  for (let at = 0; at <= 10_000; at += 1) book.learn(`n${at}`);
  assert.equal(book.own('files__n0'), undefined);
  assert.equal(book.own('files__n1'), 'n1');
  assert.equal(book.own('files__n10000'), 'n10000');
});
