// SPDX-License-Identifier: Apache-2.0
/**
 * What the gateway adds to a stdio call, against the same server without it, in one run: latency at 100 B and 10 KB one
 * call at a time, and calls per second at 1 and 32 in flight. Rounds alternate, and medians over rounds are printed.
 *
 *   node scripts/bench/stdio.ts [--json | --readme] [--rounds N] [--calls N]
 *
 * --readme puts the table into README.md, between its markers.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { intoReadme } from '../readme.ts';

const { values } = parseArgs({ options: { json: { type: 'boolean' }, readme: { type: 'boolean' }, rounds: { type: 'string' }, calls: { type: 'string' } } });
const ROUNDS = Number(values.rounds ?? '5');
const CALLS = Number(values.calls ?? '400');
const WARM_UP = 50;
const SIZES = [
  { name: '100 B', bytes: 100 },
  { name: '10 KB', bytes: 10_240 },
];
const folder = mkdtempSync(join(tmpdir(), 'mcp-bastion-bench-'));
const server = [process.execPath, join(import.meta.dirname, 'echo-server.ts')];
const launcher = join(import.meta.dirname, '..', '..', 'enclave', 'bin', 'mcp-bastion.mjs');

/** Every security feature that this version has, on. */
const POLICY = `version: 1
deny_tools: ['shell.*', '*.delete_*']
require_approval: ['payments.*']
redact_args:
  - pattern: 'sk-[A-Za-z0-9]{20,}'
tool_description_pinning: {enabled: true, on_drift: block}
audit: {order: ORDER}
`;

class Peer {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, () => void>();
  #id = 0;

  constructor(argv: readonly string[]) {
    const [command = '', ...args] = argv;
    this.#process = spawn(command, args);
    this.#process.stderr.resume();
    createInterface(this.#process.stdout).on('line', (line) => {
      const message: { id?: number; error?: object } = JSON.parse(line);
      if (message.error !== undefined) throw new Error(line);
      const settle = this.#waiting.get(message.id ?? -1);
      this.#waiting.delete(message.id ?? -1);
      settle?.();
    });
  }

  ask(method: string, params: object): Promise<void> {
    const id = (this.#id += 1);
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#process.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    });
  }

  async open(): Promise<void> {
    await this.ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } });
    this.#process.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
    await this.ask('tools/list', {});
  }

  call(text: string): Promise<void> {
    return this.ask('tools/call', { name: 'echo', arguments: { text } });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#process.once('close', () => resolve());
      this.#process.stdin.end();
    });
  }
}

interface Latency {
  readonly p50: number;
  readonly p99: number;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

/** Milliseconds of single calls, one at a time. */
async function latency(peer: Peer, text: string): Promise<Latency> {
  const times: number[] = [];
  for (let count = 0; count < CALLS; count += 1) {
    const begun = performance.now();
    await peer.call(text);
    times.push(performance.now() - begun);
  }
  times.sort((left, right) => left - right);
  return { p50: times[Math.floor(CALLS * 0.5)] ?? 0, p99: times[Math.floor(CALLS * 0.99)] ?? 0 };
}

/** Calls per second with so many in flight. */
async function rate(peer: Peer, inFlight: number): Promise<number> {
  const text = 'x'.repeat(100);
  let left = CALLS * Math.min(inFlight, 8);
  const total = left;
  const begun = performance.now();
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await peer.call(text);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return (total / (performance.now() - begun)) * 1000;
}

interface Measured {
  readonly latencies: Latency[][];
  readonly rates: number[][];
}

async function measure(argv: readonly string[], into: Measured): Promise<void> {
  const peer = new Peer(argv);
  await peer.open();
  for (let count = 0; count < WARM_UP; count += 1) await peer.call('warm');
  for (const [at, { bytes }] of SIZES.entries()) (into.latencies[at] ??= []).push(await latency(peer, 'x'.repeat(bytes)));
  for (const [at, inFlight] of [1, 32].entries()) (into.rates[at] ??= []).push(await rate(peer, inFlight));
  await peer.close();
}

function summary(measured: Measured): { latencies: Latency[]; rates: number[] } {
  const latencies = measured.latencies.map((rounds) => ({
    p50: median(rounds.map((each) => each.p50)),
    p99: median(rounds.map((each) => each.p99)),
  }));
  return { latencies, rates: measured.rates.map(median) };
}

function gateway(order: string): string[] {
  const policy = join(folder, `${order}.yaml`);
  writeFileSync(policy, POLICY.replace('ORDER', order));
  const up = ['up', '--policy', policy, '--state', join(folder, 'state'), '--name', order, '--log', 'json'];
  return [process.execPath, launcher, ...up, '--', ...server];
}

type Summary = ReturnType<typeof summary>;

function table(names: readonly string[], results: readonly Summary[], direct: Summary): string {
  const lines = [
    `Node ${process.version}, ${cpus().length} cores, medians of ${ROUNDS} rounds of ${CALLS} calls, an fsync in every commit:`,
    '',
    '| way | 100 B, added p50 / p99 ms | 10 KB, added p50 / p99 ms | calls/s at 1 (of direct) | calls/s at 32 (of direct) |',
    '|---|---|---|---|---|',
  ];
  for (const [at, name] of names.entries()) {
    const result = results[at];
    if (result === undefined) continue;
    const added = result.latencies.map((each, size) => {
      const base = direct.latencies[size] ?? { p50: 0, p99: 0 };
      return at === 0 ? `${each.p50.toFixed(2)} / ${each.p99.toFixed(2)} in all` : `${(each.p50 - base.p50).toFixed(2)} / ${(each.p99 - base.p99).toFixed(2)}`;
    });
    const rates = result.rates.map((each, lane) => `${each.toFixed(0)} (${(each / (direct.rates[lane] ?? 1)).toFixed(3)})`);
    lines.push(`| ${name} | ${added.join(' | ')} | ${rates.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}

try {
  const ways = [
    { name: 'direct', argv: server },
    ...['strict', 'intent', 'response'].map((order) => ({ name: `gateway, audit.order ${order}`, argv: gateway(order) })),
  ];
  const measured = ways.map((): Measured => ({ latencies: [], rates: [] }));
  for (let round = 1; round <= ROUNDS; round += 1) {
    process.stderr.write(`bench: round ${round} of ${ROUNDS}\n`);
    for (const [at, { argv }] of ways.entries()) await measure(argv, measured[at] ?? { latencies: [], rates: [] });
  }
  const results = measured.map(summary);
  const direct = results[0];
  const machine = { node: process.version, cpus: cpus().length, model: cpus()[0]?.model, rounds: ROUNDS, calls: CALLS };
  if (values.json === true) {
    const named = ways.map(({ name }, at) => ({ name, ...results[at] }));
    process.stdout.write(`${JSON.stringify({ schema: 'mcp-bastion/bench-stdio/1', machine, ways: named })}\n`);
  } else if (direct !== undefined) {
    const text = table(ways.map(({ name }) => name), results, direct);
    process.stdout.write(text);
    if (values.readme === true) intoReadme('bench:stdio', text);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
