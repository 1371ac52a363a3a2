// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion approvals` against desks behind real sockets. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { HeldCall } from '../../../enclave/approval/desk.ts';
import { createControl } from '../../../enclave/control/api.ts';
import { listenControl } from '../../../enclave/control/socket.ts';
import { approvalsCommand } from '../../../enclave/host/approvals.ts';
import type { LockedKey } from '../../../enclave/host/approver-key.ts';
import { createLockedKey, writeKeyFile } from '../../../enclave/host/approver-key.ts';
import { askGateway } from '../../../enclave/host/gateways.ts';
import type { Terminal } from '../../../enclave/host/passphrase.ts';
import type { ApprovalSettings } from '../../../enclave/policy/types.ts';
import { ed25519Fingerprint } from '../../../enclave/approval/ed25519.ts';
import { ticketBytes, ticketId } from '../../../shared/approval/ticket.ts';
import { ticketLines } from '../../../shared/approval/shown.ts';
import { jsonObject } from '../../../shared/json/value.ts';
import { bob, call, EXPIRES_MS, never, settings as plain, TestDesk } from '../../harness/approval-desk.ts';
import { typeAt } from '../../harness/approval-pty.ts';
import { launcher } from '../../harness/gateway.ts';

const root = mkdtempSync(join(tmpdir(), 'apr-'));
const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing) await close();
  rmSync(root, { recursive: true, force: true });
});

const PASSPHRASE = 'correct horse';
const alice: LockedKey = await createLockedKey('alice', Buffer.from(PASSPHRASE));
const stranger: LockedKey = { ...alice, name: 'carol' };
writeKeyFile(join(root, 'alice.json'), alice);
writeKeyFile(join(root, 'carol.json'), stranger);
const settings: ApprovalSettings = {
  ...plain,
  approvers: new Map([...plain.approvers, ['alice', { name: 'alice', publicKey: alice.publicKey, fingerprint: ed25519Fingerprint(alice.publicKey) }]]),
};

let states = 0;
const newState = (): string => join(root, `s${(states += 1)}`);
let serial = 0;

async function gateway(stateDir: string): Promise<TestDesk & { path: string }> {
  const world = new TestDesk({ randomHex: (bytes) => (serial += 1).toString(16).padStart(2 * bytes, '0') });
  const control = createControl({
    desk: world.desk,
    status: () => ({ version: '0', name: 'files', policy: '', log: '', origin: '', pid: 1, started: 0 }),
    after: (ms, act) => {
      const timer = setTimeout(act, ms);
      return () => clearTimeout(timer);
    },
  });
  const socket = await listenControl({ stateDir, control, randomHex: () => (serial += 1).toString(16).padStart(8, '0'), fault: (error) => assert.fail(String(error)) });
  closing.push(() => socket.close());
  return Object.assign(world, { path: socket.path });
}

async function hold(world: TestDesk, changes: Partial<HeldCall> = {}): Promise<string> {
  const outcome = await world.desk.hold(call({ open: false, settings, ...changes }), never);
  assert(outcome.kind === 'waiting');
  return outcome.ticket;
}

interface Ran {
  readonly exit: number | string;
  readonly out: string;
  readonly err: string;
  /** What the terminal showed. */
  readonly said: string;
  /** The passphrases that were typed, as they are left. */
  readonly left: readonly Buffer[];
}

async function run(args: readonly string[], options: { typed?: string | null; now?: number; asked?: () => Promise<unknown>; signal?: AbortSignal } = {}): Promise<Ran> {
  let [out, err, said] = ['', '', ''];
  const left: Buffer[] = [];
  const { typed = PASSPHRASE, now = 1_700_000_000_000, asked } = options;
  const terminal: Terminal = {
    say: (words) => (said += words),
    ask: async (prompt) => {
      said += prompt;
      await asked?.();
      const given = Buffer.from(typed ?? '');
      left.push(given);
      return given;
    },
    close: () => undefined,
  };
  const io = {
    stdout: { write: (words: string) => (out += words) },
    stderr: { write: (words: string) => (err += words) },
    env: {},
    cwd: root,
    now: () => now,
    terminal: () => (typed === null ? null : terminal),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  const exit = await approvalsCommand(args, io).catch((error: unknown) => `${(error as { code: string }).code}: ${(error as Error).message}`);
  return { exit, out, err, said, left };
}

test('tickets of several gateways are listed together, the oldest first', async () => {
  const state = newState();
  const [one, two] = [await gateway(state), await gateway(state)];
  const second = await hold(one);
  two.wall -= 5000;
  const first = await hold(two, { tool: 'write\u202efile', principal: 'local' });
  const { exit, out, err } = await run(['list', '--state', state]);
  assert.equal(exit, 0);
  assert.equal(err, '');
  assert.equal(
    out,
    `${first.slice(0, 12)}  pending  files  "write\\u{202e}file"  for "local"  0 of 1  expires 2023-11-14T22:28:15.000Z\n` +
      `${second.slice(0, 12)}  pending  files  "delete_tree"  for "token:ci"  0 of 1  expires 2023-11-14T22:28:20.000Z\n`,
  );
});

test('the list for machines is one document in ASCII', async () => {
  const state = newState();
  const world = await gateway(state);
  const id = await hold(world, { tool: 'löschen\u202e' });
  const { exit, out } = await run(['list', '--state', state, '--json']);
  assert.equal(exit, 0);
  assert.match(out, /^[\x20-\x7e]+\n$/);
  const document = JSON.parse(out);
  assert.equal(document.schema, 'mcp-bastion/approvals/1');
  assert.deepEqual(document.approvals.map((one: { id: string; tool: string; socket: string }) => [one.id, one.tool, one.socket]), [[id, 'löschen\u202e', world.path]]);
  assert.deepEqual(document.unreachable, []);
});

test('decided tickets are listed on request', async () => {
  const state = newState();
  const world = await gateway(state);
  await hold(world);
  await world.decide(bob, 'deny');
  assert.deepEqual(await run(['list', '--state', state]), { exit: 0, out: '', err: 'nothing waits for approval\n', said: '', left: [] });
  assert.match((await run(['list', '--all', '--state', state])).out, /^[0-9a-f]{12} {2}denied {2}files /);
});

test('a ticket is shown as it would be signed, by the first digits of its id', async () => {
  const state = newState();
  const world = await gateway(state);
  const id = await hold(world);
  const view = world.desk.view(id);
  assert(view);
  const { exit, out } = await run(['show', id.slice(0, 6), '--state', state]);
  assert.equal(exit, 0);
  assert.equal(out, `${ticketLines(view.ticket, id).join('\n')}\nstate:      pending\n`);
  const document = JSON.parse((await run(['show', id, '--state', state, '--json'])).out);
  assert.equal(document.canonical, Buffer.from(view.canonical).toString('base64'));
  assert.equal(JSON.stringify(document.ticket), JSON.stringify(view.ticket));
});

test('an approval shows the ticket in the terminal, asks for the passphrase, and lets the call go on', async () => {
  const state = newState();
  const world = await gateway(state);
  const waiting = world.desk.hold(call({ settings }), never);
  const { id } = await world.only();
  const view = world.desk.view(id);
  assert(view);
  const { exit, out, err, said, left } = await run(['approve', id.slice(0, 8), '--key', 'alice.json', '--state', state]);
  assert.equal(
    said,
    `${ticketLines(view.ticket, id).join('\n')}\nstate:      pending\n\nAPPROVE ${id.slice(0, 12)}: "delete_tree" on files for "token:ci"\npassphrase of alice: `,
  );
  assert.deepEqual([exit, out, err], [0, `approved ${id.slice(0, 12)} (1 of 1)\n`, '']);
  assert.equal((await waiting).kind, 'approved');
  assert.deepEqual(left, [Buffer.alloc(PASSPHRASE.length)]);
  assert.equal(world.rows[1]?.key, ed25519Fingerprint(alice.publicKey));
});

test('a denial carries its reason', async () => {
  const state = newState();
  const world = await gateway(state);
  const id = await hold(world);
  const { exit, out, said } = await run(['deny', id, '--key', 'alice.json', '--reason', 'not on a Friday', '--state', state]);
  assert.deepEqual([exit, out], [0, `denied ${id.slice(0, 12)}\n`]);
  assert.match(said, /\nDENY [0-9a-f]{12}: "delete_tree" on files for "token:ci", because: not on a Friday\npassphrase of alice: $/);
  assert.equal(world.desk.view(id)?.denial?.reason, 'not on a Friday');
});

test('the answer for machines says how many have approved', async () => {
  const state = newState();
  const world = await gateway(state);
  const id = await hold(world, { terms: { approvals: 2, approvers: ['alice', 'bob'] } });
  const { out } = await run(['approve', id, '--key', 'alice.json', '--state', state, '--json']);
  assert.deepEqual(JSON.parse(out), { schema: 'mcp-bastion/approvals/1', id, decision: 'approve', state: 'pending', given: 1, needed: 2 });
  const again = await run(['approve', id, '--key', 'alice.json', '--state', state]);
  assert.deepEqual([again.exit, again.err], [1, 'approvals: error: this approver has approved already\nhint: another one has to approve\n']);
});

test('what cannot be decided is said before a passphrase is asked for', async () => {
  const state = newState();
  const world = await gateway(state);
  const id = await hold(world);
  const refused = async (args: readonly string[], exit: number | string, message: string, now?: number): Promise<void> => {
    const ran = await run([...args, '--state', state], { typed: null, ...(now === undefined ? {} : { now }) });
    assert.equal(ran.exit, exit);
    assert.match(ran.err, new RegExp(`^approvals: error: ${message}\nhint: `));
  };
  await refused(['approve', id, '--key', 'carol.json'], 1, 'carol may not decide on this call');
  await refused(['approve', 'ffffff', '--key', 'alice.json'], 1, 'there is no such ticket');
  await refused(['approve', id, '--key', 'alice.json'], 1, 'the ticket has expired', 1_700_000_000_000 + EXPIRES_MS);
  await world.decide(bob, 'deny');
  await refused(['approve', id, '--key', 'alice.json'], 1, 'the ticket is denied');
  assert.deepEqual(world.changes, ['held', 'denied']);
});

test('a wrong passphrase is an error of its own, and nothing is sent', async () => {
  const state = newState();
  const world = await gateway(state);
  const id = await hold(world);
  const { exit, said, left } = await run(['approve', id, '--key', 'alice.json', '--state', state], { typed: 'wrong horse' });
  assert.deepEqual(left, [Buffer.alloc('wrong horse'.length)]);
  assert.equal(exit, 'APPROVER_KEY: the passphrase does not open alice.json');
  assert.doesNotMatch(said, /wrong horse/);
  // The file of somebody else under another name does not open either.
  const other = await hold(world, { tool: 'other', terms: { approvals: 1, approvers: ['carol'] } });
  assert.equal((await run(['approve', other, '--key', 'carol.json', '--state', state])).exit, 'APPROVER_KEY: the passphrase does not open carol.json');
  assert.deepEqual(world.changes, ['held', 'held']);
});

test('a ticket that ends while the passphrase is typed is not approved', async () => {
  const state = newState();
  const world = await gateway(state);
  const id = await hold(world);
  const { exit, err } = await run(['approve', id, '--key', 'alice.json', '--state', state], { asked: () => world.pass(EXPIRES_MS) });
  assert.deepEqual([exit, err], [1, 'approvals: error: the ticket has expired\nhint: a repetition of the call makes a new one\n']);
});

test('several tickets with the same first digits have to be told apart', async () => {
  const state = newState();
  const ids = ['abcdef' + '0'.repeat(58), 'abcdef' + '1'.repeat(58)];
  await fake(state, (target) => (target === '/control/approvals' ? { approvals: ids.map(summary) } : {}));
  assert.equal((await run(['show', 'abcdef', '--state', state])).exit, 'USAGE: several tickets begin like this');
});

function summary(id: string): object {
  return { id, state: 'pending', server: 'files', tool: 't', principal: 'p', given: [], approvals: 1, created: 1, expires: 2 };
}

/** Something that is no gateway listens at a socket of the folder. */
async function fake(state: string, answer: (target: string, body: string) => object): Promise<void> {
  mkdirSync(join(state, 'control'), { recursive: true, mode: 0o700 });
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const [head = '', body = ''] = text.split('\r\n\r\n');
      if (!text.includes('\r\n\r\n') || body.length < Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)) return;
      const reply = JSON.stringify(answer(head.split(' ')[1] ?? '', body));
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(reply)}\r\n\r\n${reply}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(join(state, 'control', `1-${(serial += 1).toString(16).padStart(8, '0')}.sock`), resolve));
  closing.push(() => new Promise((resolve) => server.close(() => resolve())));
}

test('a gateway that shows another ticket under an id gets no signature', async () => {
  const state = newState();
  const world = await gateway(newState());
  const real = world.desk.view(await hold(world));
  assert(real);
  const altered = { ...real.ticket, arguments: jsonObject({ path: '/tmp/harmless' }) };
  const posted: string[] = [];
  await fake(state, (target, body) => {
    if (body !== '') posted.push(body);
    if (target === '/control/approvals') return { approvals: [summary(real.id)] };
    return { ...summary(real.id), canonical: Buffer.from(ticketBytes(altered)).toString('base64'), ticket: altered };
  });
  assert.match(String((await run(['approve', real.id, '--key', 'alice.json', '--state', state])).exit), /^GATEWAY_UNREACHABLE: the gateway answered with something that is not this ticket/);
  assert.deepEqual(posted, []);
});

test('a ticket that another program made up gets a signature over itself only, which no gateway takes', async () => {
  const state = newState();
  const world = await gateway(newState());
  const real = world.desk.view(await hold(world));
  assert(real);
  const altered = { ...real.ticket, arguments: jsonObject({ path: '/tmp/harmless' }) };
  const id = ticketId(ticketBytes(altered));
  let posted = '';
  await fake(state, (target, body) => {
    posted ||= body;
    if (target === '/control/approvals') return { approvals: [summary(id)] };
    return body === '' ? { ...summary(id), canonical: Buffer.from(ticketBytes(altered)).toString('base64') } : { state: 'approved', given: 1, needed: 1 };
  });
  const { said } = await run(['approve', id, '--key', 'alice.json', '--state', state]);
  assert.match(said, /"path": "\/tmp\/harmless"/);
  const { approver, decision, reason, signature } = JSON.parse(posted);
  const outcome = await world.desk.decide(real.id, { approver, decision, reason, signature: new Uint8Array(Buffer.from(signature, 'base64')) });
  assert.deepEqual(outcome, { kind: 'refused', code: 'SIGNATURE_INVALID' });
});

test('words of a gateway cannot act on the terminal', async () => {
  const state = newState();
  await fake(state, () => ({ approvals: [{ ...summary('a'.repeat(64)), state: 'pending', server: '\u001b[2J', tool: '\u001b]0;x\u0007', principal: '\u202e' }] }));
  const { out } = await run(['list', '--state', state]);
  assert.match(out, /^[\x20-\x7e]+\n$/);
  assert.match(out, /\\u\{1b\}\[2J {2}"\\u001b\]0;x\\u0007" {2}for "\\u\{202e\}"/);
});

test('a gateway that does not answer as one is a warning, and the exit code says that something was not asked', async () => {
  const state = newState();
  const world = await gateway(state);
  const id = await hold(world);
  await fake(state, () => ({ approvals: 'none' }));
  const listed = await run(['list', '--state', state]);
  assert.equal(listed.exit, 3);
  assert.match(listed.out, new RegExp(`^${id.slice(0, 12)} `));
  assert.match(listed.err, /^approvals: warning: the gateway at .*\.sock cannot be asked: its answer is no list of tickets\n$/);
  // What is found elsewhere can be decided; what is not may be there.
  assert.equal((await run(['approve', id, '--key', 'alice.json', '--state', state])).exit, 0);
  assert.equal((await run(['show', 'ffffff', '--state', state])).exit, 'GATEWAY_UNREACHABLE: the gateway cannot be asked: its ticket may be there');
});

test('where no gateway runs, nothing can be said', async () => {
  assert.equal((await run(['list', '--state', newState()])).exit, 'GATEWAY_UNREACHABLE: no gateway is running that can be asked');
  assert.equal((await run(['list', '--socket', join(root, 'none.sock')])).exit, 'GATEWAY_UNREACHABLE: no gateway is running that can be asked');
  assert.match(String((await run(['list', '--socket', join(root, 'x'.repeat(120))])).exit), /^LISTEN_FAILED: the path of the control socket has/);
});

test('one socket can be named', async () => {
  const state = newState();
  const [one, two] = [await gateway(state), await gateway(state)];
  await hold(one);
  const id = await hold(two, { tool: 'other' });
  const { out } = await run(['list', '--socket', two.path]);
  assert.match(out, new RegExp(`^${id.slice(0, 12)} [^\n]*\n$`));
});

const wrong: readonly [readonly string[], string][] = [
  [[], 'an approvals command is missing'],
  [['accept'], 'there is no such approvals command'],
  [['list', 'abcdef'], 'there is a word too many'],
  [['watch', 'abcdef'], 'there is a word too many'],
  [['show'], 'the ticket is missing'],
  [['show', 'abcde'], 'this is no ticket id'],
  [['show', 'ABCDEF'], 'this is no ticket id'],
  [['show', '../../x'], 'this is no ticket id'],
  [['show', 'abcdef', 'abcdef'], 'there is a word too many'],
  [['show', 'abcdef', '--key', 'x'], '--key does not belong to show'],
  [['approve', 'abcdef', '--reason', 'x'], '--reason does not belong to approve'],
  [['approve', 'abcdef'], '--key is missing'],
  [['approve', 'abcdef', '--yes'], "Unknown option '--yes'"],
  [['deny', 'abcdef', '--key', 'alice.json', '--reason', 'a\nb'], '--reason is not one short line'],
  [['deny', 'abcdef', '--key', 'alice.json', '--passphrase-fd', '2'], '--passphrase-fd is no file descriptor to read from'],
  [['list', '--all', '--passphrase-fd', '0'], '--passphrase-fd does not belong to list'],
];

for (const [args, message] of wrong) {
  test(`"approvals ${args.join(' ').replaceAll('\n', '\\n')}" is a wrong command line`, async () => {
    assert.equal((await run(args)).exit, `USAGE: ${message}`);
  });
}

test('help says what there is', async () => {
  const { exit, out } = await run(['approve', '--help']);
  assert.equal(exit, 0);
  assert.match(out, /^usage: mcp-bastion approvals list/);
});

test('watch says what comes to wait, at gateways that run and at those that start later', async () => {
  const state = newState();
  const one = await gateway(state);
  const first = await hold(one);
  const stop = new AbortController();
  let out = '';
  const seen = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(out)) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  const io = { stdout: { write: (words: string) => (out += words) }, stderr: { write: () => true }, env: {}, cwd: root, now: () => 0, signal: stop.signal };
  const done = approvalsCommand(['watch', '--state', state], io);
  await seen(new RegExp(`^${first.slice(0, 12)}  pending`, 'm'));
  const second = await hold(one, { tool: 'second' });
  await seen(new RegExp(`^${second.slice(0, 12)}  pending`, 'm'));
  const two = await gateway(state);
  const third = await hold(two);
  await seen(new RegExp(`^${third.slice(0, 12)}  pending`, 'm'));
  await two.decide(bob);
  await seen(new RegExp(`^${third.slice(0, 12)}  approved  .*  1 of 1 `, 'm'));
  stop.abort();
  assert.equal(await done, 0);
  assert.equal(out.split('\n').length, 5);
});

test('a forged signature that another program sends is refused and recorded, and approves nothing', async () => {
  const state = newState();
  const world = await gateway(state);
  const id = await hold(world);
  const body = JSON.stringify({ approver: 'alice', decision: 'approve', signature: Buffer.alloc(64, 1).toString('base64') });
  const answer = await askGateway(world.path, { target: `/control/approvals/${id}`, body: Buffer.from(body) });
  assert.equal(answer.kind === 'answered' && answer.status, 403);
  assert.deepEqual(world.changes, ['held', 'refused SIGNATURE_INVALID']);
  assert.equal((await world.desk.hold(call({ open: false, settings }), never)).kind, 'waiting');
});

test('in a real terminal, from the ticket to the passphrase to the answer', async () => {
  const state = newState();
  const world = await gateway(state);
  world.wall = Date.now();
  const waiting = world.desk.hold(call({ settings, args: jsonObject({ note: 'a\u001b[31mb' }) }), never);
  const { id } = await world.only();
  const argv = [process.execPath, launcher, 'approvals', 'approve', id.slice(0, 6), '--key', join(root, 'alice.json'), '--state', state];
  const { code, screen } = await typeAt(argv, [['passphrase of alice: ', `${PASSPHRASE}\r`]]);
  assert.equal(code, 0, screen);
  assert.match(screen, new RegExp(`^ticket:     ${id}\n`));
  assert.match(screen, /"note": "a\\u001b\[31mb"\n/);
  assert.match(screen, new RegExp(`passphrase of alice: \napproved ${id.slice(0, 12)} \\(1 of 1\\)\n$`));
  assert.doesNotMatch(screen, /correct horse|\u001b/);
  assert.equal((await waiting).kind, 'approved');
});
