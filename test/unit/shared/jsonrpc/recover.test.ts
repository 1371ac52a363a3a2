// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { glimpse, guessId } from '../../../../shared/jsonrpc/recover.ts';

const filler = 'a'.repeat(100);

const cases: readonly { name: string; head: string; tail: string; id: string | number | null }[] = [
  { name: 'an integer at the start', head: '{"jsonrpc":"2.0","id":12,"method":"m","params":{"a":"aaa', tail: `${filler}"}}`, id: 12 },
  { name: 'a string at the start', head: '{"id" : "x-1" ,"jsonrpc":"2.0","method', tail: filler, id: 'x-1' },
  { name: 'an id whose key is escaped', head: '{"i\\u0064":3,"method"', tail: filler, id: 3 },
  { name: 'an id after a string with a quote', head: '{"method":"a\\"b","id":7,"params":{', tail: filler, id: 7 },
  { name: 'an id after a string that ends with a backslash', head: '{"method":"a\\\\","id":7,"params":{', tail: filler, id: 7 },
  { name: 'an integer at the end', head: '{"jsonrpc":"2.0","result":{"a":"aaaa', tail: `${filler}"},"id":-3}`, id: -3 },
  { name: 'an id before other simple members at the end', head: '{"result":{"a', tail: `a"}, "id": "z", "jsonrpc": "2.0" }\r`, id: 'z' },
  { name: 'the same id at both ends', head: '{"id":1,"params":{', tail: 'a"},"id":1}', id: 1 },
  { name: 'different ids at both ends', head: '{"id":1,"params":{', tail: 'a"},"id":2}', id: null },
  { name: 'the same id in another type at the other end', head: '{"id":1,"params":{', tail: 'a"},"id":"1"}', id: null },
  { name: 'two ids at the start', head: '{"id":1,"id":2,"params":{', tail: filler, id: null },
  { name: 'two ids at the end', head: '{"params":{', tail: 'a"},"id":1,"id":2}', id: null },
  { name: 'two spellings of id', head: '{"id":1,"ID":1,"params":{', tail: filler, id: null },
  { name: 'only another spelling of id', head: '{"ID":1,"params":{', tail: filler, id: null },
  { name: 'an id of params at the start', head: '{"method":"m","params":{"id":7,"a":"', tail: filler, id: null },
  { name: 'an id of params at the end', head: '{"method":"m","params":{"a":"', tail: 'aa","id":7}}', id: null },
  { name: 'an id within a string at the start', head: '{"method":"\\",\\"id\\":7,","params":{"a":"', tail: filler, id: null },
  { name: 'an id within a string at the end', head: '{"method":"m","params":{"a":"', tail: 'a,\\"id\\":7}', id: null },
  { name: 'an integer that is cut off', head: '{"id":12', tail: filler, id: null },
  { name: 'a string that is cut off', head: '{"id":"ab', tail: filler, id: null },
  { name: 'a number that is no plain integer', head: '{"id":1.0,"method":"m"', tail: filler, id: null },
  { name: 'an unsafe integer', head: '{"id":9007199254740993,"method":"m"', tail: filler, id: null },
  { name: 'a string with an escape', head: '{"id":"a\\n","method":"m"', tail: filler, id: null },
  { name: 'a string beyond ASCII', head: '{"id":"\u00e9","method":"m"', tail: filler, id: null },
  { name: 'a string that is too long', head: `{"id":"${'a'.repeat(257)}","method":"m"`, tail: filler, id: null },
  { name: 'null', head: '{"id":null,"method":"m"', tail: filler, id: null },
  { name: 'a batch', head: '[{"id":1,"method":"m"},{"params":', tail: 'a"},"id":2}]', id: null },
  { name: 'no JSON at all', head: filler, tail: filler, id: null },
  { name: 'nothing', head: '', tail: '', id: null },
];

for (const { name, head, tail, id } of cases) {
  test(`of a line that was too long, ${name} gives ${JSON.stringify(id)} as id`, () => {
    assert.equal(guessId(Buffer.from(head), Buffer.from(tail)), id);
  });
}

test('a value called id is no key', () => {
  assert.deepEqual(glimpse(Buffer.from('{"method":"id","params":["id",7]}')), { id: null, request: false });
});

test('a wanted answer is told from an unwanted one', () => {
  const request = (text: string): boolean => glimpse(Buffer.from(text)).request;
  assert.equal(request('{"id":1,"method":"m"}'), true);
  assert.equal(request('{"id":null,"method":"m"}'), true);
  assert.equal(request('{"method":"m"}'), false);
  assert.equal(request('{"id":1,"result":{"method":1}}'), false);
  assert.equal(request('{"id":1,"method":"m","error":{}}'), false);
});

test('no bytes make either of them throw', () => {
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.array(fc.constantFrom('{', '"id"', ':', '1', '"', '\\', ',', '}', ' ', '[')).map((parts) => Buffer.from(parts.join(''))));
  fc.assert(
    fc.property(bytes, bytes, (head, tail) => {
      guessId(head, tail);
      assert.equal(typeof glimpse(head).request, 'boolean');
    }),
    { numRuns: 1000 },
  );
});
