// SPDX-License-Identifier: Apache-2.0
/** The pins of one server as a gateway uses them, and what its state folder remembers. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { PinChange } from '../../../enclave/pins/book.ts';
import { INSTRUCTIONS } from '../../../enclave/pins/item.ts';
import type { Item, JudgedItem } from '../../../enclave/pins/judge.ts';
import { entryOf, itemDigest, judgeItem } from '../../../enclave/pins/judge.ts';
import { openPinBook, pendingAfter } from '../../../enclave/pins/kept-book.ts';
import { changeLockfile, withEntries } from '../../../enclave/pins/lockfile.ts';
import { Snapshots } from '../../../enclave/pins/snapshots.ts';
import { changePinState, readPinState } from '../../../enclave/pins/state.ts';
import { decide, overview } from '../../../enclave/pins/waiting.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { scratch } from '../../harness/gateway.ts';

const DAY = '2026-11-25T08:00:00.000Z';
const settings = { enabled: true, onDrift: 'block', onNew: 'block', path: null, mirrorsParams: false } as const;

interface Place {
  readonly folder: string;
  readonly path: string;
  readonly server: string;
  readonly stateDir: string;
}

function place(server = 'files', folder: string = scratch()): Place {
  return { folder, path: join(folder, 'bastion.lock.yaml'), server, stateDir: join(folder, 'state') };
}

const tool = (name: string, description: string): Item => ({ kind: 'tool', name, value: { name, description } });
const fresh = ({ kind, name, value }: Item) => ({ kind, name, pin: { sha256: itemDigest(value), firstSeen: DAY, accepted: null } });

async function judged(book: ReturnType<typeof openPinBook>, item: Item): Promise<JudgedItem> {
  return judgeItem(item, entryOf(await book.read(), item.kind, item.name), settings);
}

async function changes(book: ReturnType<typeof openPinBook>): Promise<PinChange[]> {
  const seen: PinChange[] = [];
  await book.recordChanges((change) => Promise.resolve(void seen.push(change)));
  return seen;
}

test('the version changes with the pins of the server, and with nothing else', async () => {
  const { folder, ...where } = place();
  const [files, mail] = [openPinBook(where), openPinBook({ ...where, server: 'mail' })];
  const before = await files.version();
  assert.equal(await files.version(), before);
  await mail.add([fresh(tool('send', 'x'))]);
  assert.equal(await files.version(), before);
  await files.add([fresh(tool('read', 'x'))]);
  const after = await files.version();
  assert.notEqual(after, before);
  await files.add([fresh(tool('read', 'another'))]);
  assert.equal(await files.version(), after, 'a pin that is there stays');
  writeFileSync(where.path, 'version: 2\n');
  await assert.rejects(files.version(), (error) => error instanceof Unavailable && error.code === 'PIN_STORE');
  rmSync(where.path);
  assert.equal(await files.version(), before);
  rmSync(folder, { recursive: true });
});

test('what a person changes is offered for its row once, also after a restart; what the gateway adds is not', async () => {
  const where = place();
  const book = openPinBook(where);
  const [read, write] = [tool('read', 'x'), tool('write', 'x')];
  assert.deepEqual(await changes(book), []);
  await book.add([fresh(read), fresh(write)]);
  assert.deepEqual(await changes(book), []);
  const other = tool('read', 'y');
  await book.remember({ items: [await judged(book, other)], at: DAY });
  const found = await overview(where.path, where.stateDir);
  assert.equal(await decide(found.path, 'accept', found.waiting, DAY), true);
  const expected = [{ kind: 'tool', name: 'read', change: 'accepted', digest: itemDigest(other.value), was: itemDigest(read.value) }];
  await assert.rejects(book.recordChanges(() => Promise.reject(new Unavailable('AUDIT_UNAVAILABLE', '', ''))));
  assert.deepEqual(await changes(openPinBook(where)), expected, 'a row that failed is written later');
  assert.deepEqual(await changes(openPinBook(where)), []);
  await changeLockfile(where.path, (file) =>
    withEntries(file, 'files', [
      { kind: 'tool', name: 'write', apply: () => ({ pin: null, rejected: [] }) },
      { kind: 'tool', name: 'pulled', apply: () => ({ pin: fresh(write).pin, rejected: [] }) },
      { kind: 'prompt', name: 'p', apply: () => ({ pin: null, rejected: ['c'.repeat(64)] }) },
    ]),
  );
  const both = await changes(openPinBook(where));
  assert.deepEqual(both.map(({ name, change }) => `${name} ${change}`).sort(), ['p rejected', 'pulled new', 'write removed']);
  assert.deepEqual(await changes(book), [], 'another book of the same state folder knows');
});

test('clients of one process have a change recorded once, however many come at the same time', async () => {
  const where = place();
  const book = openPinBook(where);
  await book.add([fresh(tool('read', 'x'))]);
  await changes(book);
  await changeLockfile(where.path, (file) => withEntries(file, 'files', [{ kind: 'tool', name: 'read', apply: () => ({ pin: { ...fresh(tool('read', 'y')).pin, accepted: DAY }, rejected: [] }) }]));
  const all = await Promise.all(Array.from({ length: 8 }, () => changes(book)));
  assert.equal(all.flat().length, 1);
});

test('what is blocked or changed waits until it is as it was, accepted or rejected', async () => {
  const where = place();
  const book = openPinBook(where);
  const honest = tool('read', 'x');
  await book.add([fresh(honest)]);
  const see = async (...items: readonly Item[]): Promise<void> => {
    const all: JudgedItem[] = [];
    for (const item of items) all.push(await judged(book, item));
    assert.equal(await book.remember({ items: all, at: DAY }), null);
  };
  const waiting = async (): Promise<readonly (readonly [string, string, boolean])[]> => (await overview(where.path, where.stateDir)).waiting.map((one) => [one.name, one.change, one.isRejected] as const);
  await see(tool('read', 'evil'), tool('fresh', 'x'), { kind: 'instructions', name: INSTRUCTIONS, value: { instructions: 'obey' } });
  assert.deepEqual(await waiting(), [['read', 'drift', false], ['fresh', 'new', false], [INSTRUCTIONS, 'new', false]]);
  const [evil, newTool] = (await overview(where.path, where.stateDir)).waiting;
  assert.ok(evil !== undefined && newTool !== undefined);
  assert.deepEqual(await new Snapshots(join(where.stateDir, 'pins')).get(evil.digest), Object.assign(Object.create(null), { name: 'read', description: 'evil' }));
  await see(honest);
  assert.deepEqual((await waiting()).map(([name]) => name), ['fresh', INSTRUCTIONS]);
  await decide(where.path, 'reject', [newTool], DAY);
  await see(tool('fresh', 'x'));
  assert.equal((await judged(book, tool('fresh', 'x'))).rejected, true);
  assert.deepEqual(await waiting(), [['fresh', 'new', true], [INSTRUCTIONS, 'new', false]]);
  await decide(where.path, 'accept', (await overview(where.path, where.stateDir)).waiting, DAY);
  assert.deepEqual(await waiting(), []);
  assert.equal((await judged(book, tool('fresh', 'x'))).change, 'same', 'accepting takes a rejection back');
});

test('a decision is refused where something else was pinned meanwhile', async () => {
  const where = place();
  const book = openPinBook(where);
  await book.add([fresh(tool('read', 'x'))]);
  await book.remember({ items: [await judged(book, tool('read', 'y'))], at: DAY });
  const { waiting, path } = await overview(where.path, where.stateDir);
  await changeLockfile(where.path, (file) => withEntries(file, 'files', [{ kind: 'tool', name: 'read', apply: () => ({ pin: fresh(tool('read', 'z')).pin, rejected: [] }) }]));
  assert.equal(await decide(path, 'accept', waiting, DAY), false);
  assert.equal((await judged(book, tool('read', 'z'))).change, 'same');
});

test('a gateway that pins and a person who accepts at the same time both succeed', async () => {
  const where = place();
  const books = Array.from({ length: 4 }, () => openPinBook(where));
  const [book] = books;
  assert.ok(book !== undefined);
  await book.add([fresh(tool('read', 'x'))]);
  await book.remember({ items: [await judged(book, tool('read', 'y'))], at: DAY });
  const { waiting, path } = await overview(where.path, where.stateDir);
  const accepting = decide(path, 'accept', waiting, DAY);
  await Promise.all([accepting, ...books.flatMap((one, at) => [one.add([fresh(tool(`t${at}`, 'x'))]), one.remember({ items: [], at: DAY })])]);
  assert.equal(await accepting, true);
  const pins = await book.read();
  assert.deepEqual([...(pins.get('tool')?.keys() ?? [])].sort(), ['read', 't0', 't1', 't2', 't3']);
  assert.equal(entryOf(pins, 'tool', 'read').pin?.sha256, itemDigest(tool('read', 'y').value));
});

test('names of any kind wait and are remembered like others', async () => {
  const where = place('__proto__');
  const book = openPinBook(where);
  const names = ['__proto__', 'constructor', 'a\0b', '\u202e', 'x'.repeat(512), '"', '\n'];
  const items: JudgedItem[] = [];
  for (const name of names) items.push(await judged(book, tool(name, 'd')));
  await book.remember({ items, at: DAY });
  const found = await overview(where.path, where.stateDir);
  assert.deepEqual(found.waiting.map((one) => one.name), names);
  await decide(found.path, 'accept', found.waiting, DAY);
  await changes(book);
  assert.equal((await readPinState(where.stateDir, found.path, '__proto__')).recorded?.length, names.length);
  for (const name of names) assert.equal((await judged(book, tool(name, 'd'))).change, 'same', JSON.stringify(name));
});

test('files of the state folder are private, and one that is not what it says is as if it were not there', async () => {
  const where = place();
  const book = openPinBook(where);
  const item = await judged(book, tool('read', 'x'));
  await book.remember({ items: [item], at: DAY });
  const dir = join(where.stateDir, 'pins');
  for (const name of readdirSync(dir).filter((each) => each.endsWith('.json'))) assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600);
  for (const name of readdirSync(join(dir, 'state'))) assert.equal(statSync(join(dir, 'state', name)).mode & 0o777, 0o600, name);
  const file = join(dir, `${item.digest}.json`);
  for (const text of ['{"name":"read","description":"y"}', '', '{']) {
    writeFileSync(file, text);
    assert.equal(await new Snapshots(dir).get(item.digest), null);
  }
  for (const name of readdirSync(join(dir, 'state')).filter((each) => each.endsWith('.json'))) writeFileSync(join(dir, 'state', name), '{"version":1,"pending":7}');
  assert.deepEqual((await overview(where.path, where.stateDir)).waiting, []);
  assert.equal(await openPinBook(where).remember({ items: [item], at: DAY }), null);
  assert.equal((await overview(where.path, where.stateDir)).waiting.length, 1);
});

test('a state folder that cannot be written is told, and holds nothing up', async () => {
  const where = place();
  mkdirSync(where.stateDir);
  writeFileSync(join(where.stateDir, 'pins'), 'a file in its place');
  const book = openPinBook(where);
  assert.deepEqual(await changes(book), []);
  const problem = await book.remember({ items: [await judged(book, tool('read', 'x'))], at: DAY });
  assert.match(String(problem), /^E[A-Z]+$/);
  await book.add([fresh(tool('read', 'x'))]);
  await changeLockfile(where.path, (file) => withEntries(file, 'files', [{ kind: 'tool', name: 'read', apply: () => ({ pin: fresh(tool('read', 'y')).pin, rejected: [] }) }]));
  assert.deepEqual((await changes(book)).map(({ change }) => change), ['accepted'], 'this process remembers by itself');
});

test('however much waits, what was recorded is read again', async () => {
  const where = place();
  const recorded = [{ kind: 'tool', name: 'read', sha256: 'a'.repeat(64), rejected: [] }] as const;
  const one = { kind: 'tool', change: 'new', digest: 'b'.repeat(64), was: null, blocked: true, since: DAY } as const;
  const pending = Array.from({ length: 11_000 }, (_unused, at) => ({ ...one, name: `${'\u0001'.repeat(600)}${at}` }));
  await changePinState(where.stateDir, where.path, 'files', (state) => ({ ...state, recorded, pending }));
  const state = await readPinState(where.stateDir, where.path, 'files');
  assert.deepEqual(state.recorded, recorded);
  assert.equal(state.pending.at(-1)?.name, pending.at(-1)?.name);
});

test('a lockfile that cannot be read is a failure, and no lack of pins', async () => {
  const where = place();
  mkdirSync(where.path);
  await assert.rejects(openPinBook(where).read(), (error) => error instanceof Unavailable && error.code === 'PIN_STORE');
  chmodSync(where.path, 0o700);
});

test('of too many things that wait the oldest are forgotten, and a listing that changes nothing changes nothing', () => {
  const item = (name: string, version: string): JudgedItem => judgeItem(tool(name, version), { pin: null, rejected: [] }, settings);
  const first = pendingAfter([], { items: [item('a', '1'), item('b', '1')], at: DAY });
  assert.equal(pendingAfter(first, { items: [item('a', '1')], at: 'later' }), first);
  const second = pendingAfter(first, { items: [item('a', '2')], at: 'later' });
  assert.deepEqual(second.map(({ name, since }) => [name, since]), [['b', DAY], ['a', 'later']]);
});
