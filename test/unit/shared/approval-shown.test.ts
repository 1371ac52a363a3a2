// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { escapeUnseen, quoteShown, ticketLines } from '../../../shared/approval/shown.ts';
import type { Ticket } from '../../../shared/approval/ticket.ts';
import { jsonObject } from '../../../shared/json/value.ts';
import { toolLabel } from '../../../shared/label.ts';

const ID = '1'.repeat(64);

function ticketOf(changes: Partial<Ticket> = {}): Ticket {
  const tool = changes.tool ?? 'delete_tree';
  return {
    version: 1,
    gateway: 'local/files/0',
    audit_key: 'b'.repeat(64),
    principal: 'token:ci',
    server: 'files',
    tool,
    label: toolLabel(tool),
    arguments: jsonObject({ path: '/srv/data', tags: ['a', 1] }),
    digest: 'c'.repeat(64),
    policy: 'a'.repeat(64),
    rule: 'require_approval[0]',
    approvals: 1,
    approvers: ['alice', 'bob'],
    created: 1_700_000_000_000,
    expires: 1_700_000_900_000,
    random: '0'.repeat(64),
    ...changes,
  };
}

test('a ticket is shown in whole', () => {
  assert.deepEqual(ticketLines(ticketOf(), ID), [
    `ticket:     ${ID}`,
    `tool:       "delete_tree" (${toolLabel('delete_tree')})`,
    'server:     files',
    'principal:  "token:ci"',
    'arguments:',
    '  {',
    '    "path": "/srv/data",',
    '    "tags": [',
    '      "a",',
    '      1',
    '    ]',
    '  }',
    `digest:     ${'c'.repeat(64)} (SHA-256 of the real name and arguments)`,
    'rule:       "require_approval[0]"',
    `policy:     ${'a'.repeat(64)}`,
    'needs:      1 of alice, bob',
    'created:    2023-11-14T22:13:20.000Z',
    'expires:    2023-11-14T22:28:20.000Z',
    'gateway:    "local/files/0"',
    `audit key:  ${'b'.repeat(64)}`,
  ]);
});

const unseen: readonly [string, string, string][] = [
  ['an escape sequence', '\u001b[2J', '\\u{1b}[2J'],
  ['a carriage return', 'a\rb', 'a\\u{d}b'],
  ['a C1 control', '\u009b2J', '\\u{9b}2J'],
  ['a bidirectional override', '\u202e', '\\u{202e}'],
  ['an isolate', '\u2066', '\\u{2066}'],
  ['an Arabic letter mark', '\u061c', '\\u{61c}'],
  ['a zero-width space', '\u200b', '\\u{200b}'],
  ['a joiner', '\u200d', '\\u{200d}'],
  ['a soft hyphen', '\u00ad', '\\u{ad}'],
  ['a byte order mark', '\ufeff', '\\u{feff}'],
  ['a tag character', '\u{e0041}', '\\u{e0041}'],
  ['a variation selector', '\ufe0f', '\\u{fe0f}'],
  ['a later variation selector', '\u{e0100}', '\\u{e0100}'],
  ['a Hangul filler', '\u3164', '\\u{3164}'],
  ['a half-width filler', '\uffa0', '\\u{ffa0}'],
  ['a blank Braille pattern', '\u2800', '\\u{2800}'],
  ['a combining joiner', '\u034f', '\\u{34f}'],
  ['a space that does not break', '\u00a0', '\\u{a0}'],
  ['an ideographic space', '\u3000', '\\u{3000}'],
  ['a line separator', '\u2028', '\\u{2028}'],
  ['a private character', '\ue000', '\\u{e000}'],
  ['an unassigned character', '\u0378', '\\u{378}'],
  ['a lone surrogate', '\ud800', '\\u{d800}'],
  ['a stroke through the letter', 'a\u0336', 'a\\u{336}'],
  ['an enclosing mark', '\u20dd', '\\u{20dd}'],
];

for (const [name, text, shown] of unseen) {
  test(`${name} is marked`, () => {
    assert.equal(escapeUnseen(text), shown);
  });
}

test('letters of all scripts, accents and plain spaces stay', () => {
  for (const text of ['naïve Ångström', 'e\u0301', 'ж 中文 ひらがな हिन्दी', '😀', 'a b']) assert.equal(escapeUnseen(text), text);
});

test('an escape cannot be imitated by the text itself', () => {
  assert.equal(quoteShown('\\u{202e}'), '"\\\\u{202e}"');
  assert.equal(quoteShown('\u202e'), '"\\u{202e}"');
});

test('no line of a ticket can be imitated by an argument', () => {
  const lines = ticketLines(ticketOf({ arguments: jsonObject({ 'x\nneeds:      0': 'y\nserver:     other' }) }), ID);
  assert.equal(lines.filter((line) => line.startsWith('needs:')).length, 1);
  assert.equal(lines.filter((line) => line.startsWith('server:')).length, 1);
});

const notes: readonly [string, Partial<Ticket>, readonly string[]][] = [
  ['characters that cannot be seen', { arguments: jsonObject({ a: 'x\u200by' }) }, ['note: characters that cannot be seen stand as \\u{...}']],
  ['the same at the start of a name', { tool: '\u200bx' }, ['note: characters that cannot be seen stand as \\u{...}', "note: the tool's name has characters beyond ASCII, which may look like others"]],
  ['right-to-left letters', { arguments: jsonObject({ a: 'rm א -rf' }) }, ['note: there are right-to-left letters; their order on the screen may not be the order of the text']],
  ['a tool that looks like another', { tool: 'reаd' }, ["note: the tool's name has characters beyond ASCII, which may look like others"]],
  ['a text that only looks like an escape', { arguments: jsonObject({ a: '\\u{202e}' }) }, []],
  ['nothing unusual', {}, []],
];

for (const [name, changes, expected] of notes) {
  test(`the notes below a ticket are right for ${name}`, () => {
    assert.deepEqual(ticketLines(ticketOf(changes), ID).filter((line) => line.startsWith('note:')), expected);
  });
}

test('whatever the call holds, no line has a character that cannot be seen', () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 });
  fc.assert(
    fc.property(text, text, text, text, (tool, principal, key, value) => {
      fc.pre(key !== '__proto__');
      for (const line of ticketLines(ticketOf({ tool, principal, rule: tool, arguments: jsonObject({ [key]: value }) }), ID)) {
        assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u);
      }
    }),
    { numRuns: 500 },
  );
});

test('a long argument is shown to its end', () => {
  const value = `${'x'.repeat(100_000)} and then rm -rf`;
  assert(ticketLines(ticketOf({ arguments: jsonObject({ value }) }), ID).some((line) => line.endsWith('and then rm -rf"')));
});
