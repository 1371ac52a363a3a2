// SPDX-License-Identifier: Apache-2.0
/** The stages of the bench, one after the other, and the verdict over them. */
import { compare, stale } from './compare.ts';
import type { Difference, Rule } from './compare.ts';
import type { Running } from './processes.ts';
import type { Revision } from './results.ts';
import { runClientSuite, runServerSuite } from './suite.ts';
import type { Run } from './suite.ts';
import { cell, table } from './table.ts';
import type { Row } from './table.ts';
import { startFixture, startGatewayAsRemote, startGatewayOverStdio, startMcpProxyChain, startStdioChain, startSupergatewayChain, startThrough } from './targets.ts';
import type { Place, Served, Through } from './targets.ts';

export interface Options {
  readonly legs: readonly ('server' | 'client' | 'stdio')[];
  readonly revisions: readonly Revision[];
  readonly through: Through;
  /** Whether to measure other proxies too. */
  readonly peers: boolean;
}

/** supergateway leaves some requests without an answer for good; the suite's own 30 s for each would take long. */
const PEER_SCENARIO_MS_MAX = 10_000;

/**
 * Authorization is bound to the server's address, so that it cannot work through a proxy under another one. These two
 * expect the client to refuse what it reads there, which it can where the metadata gets through, as in a pipe.
 */
const REFUSED_THROUGH_PIPE: ReadonlySet<string> = new Set(['auth/resource-mismatch', 'auth/metadata-issuer-mismatch']);

/** A server on stdio has no streams to resume, so that the gateway may as well answer with JSON, as it does. */
const STREAMS: readonly string[] = ['server-sse-polling', 'server-sse-multiple-streams'];

/** mcp-proxy drops the client's headers: mcp-remote's upstream then refuses every call, the gateway's gets what the body says. */
const HEADERS: readonly string[] = ['http-custom-header-server-validation'];

interface Comparison {
  readonly name: string;
  readonly unexpected: readonly Difference[];
  /** Scenarios that were expected to differ and do not. */
  readonly stale: readonly string[];
}

interface Judgement {
  readonly name: string;
  readonly rule: Rule;
  readonly before: Run | undefined;
  readonly after: Run | undefined;
  /** Scenarios whose differences are no news. */
  readonly mayDiffer?: (scenario: string) => boolean;
  /** Whether the required ones among those have to differ: the expectation is out of date where one does not. */
  readonly mustDiffer?: boolean;
}

/** Starts what stands in front of the server at this address. */
type Front = (place: Place, url: string) => Promise<Served>;

/** The runs that there are, by column. */
function named(runs: Readonly<Record<string, Run | undefined>>): Map<string, Run> {
  return new Map(Object.entries(runs).flatMap(([column, run]): [string, Run][] => (run === undefined ? [] : [[column, run]])));
}

/** How long one scenario may take through what stands there. */
function patience(name: string): number | undefined {
  return name === 'supergateway' ? PEER_SCENARIO_MS_MAX : undefined;
}

export class Bench {
  readonly #options: Options;
  readonly #folder: string;
  readonly #overHttp: Row[] = [];
  readonly #overStdio: Row[] = [];
  readonly #comparisons: Comparison[] = [];
  /** Reasons why the comparison itself is worth nothing. */
  readonly #invalid: string[] = [];
  #stage = 0;

  constructor(options: Options, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  async run(): Promise<void> {
    for (const leg of this.#options.legs) {
      for (const revision of this.#options.revisions) {
        if (leg === 'server') await this.#server(revision);
        else if (leg === 'client') await this.#client(revision);
        else await this.#stdio(revision);
      }
    }
  }

  async #server(revision: Revision): Promise<void> {
    const { through, peers } = this.#options;
    const stage = (name: string, front?: Front): Promise<Run | undefined> => this.#httpStage(revision, name, front);
    const direct = await stage('direct');
    const after = await stage(through, (place, url) => startThrough(through, place, url));
    const runs = named({ direct, [through]: after });
    this.#overHttp.push({ name: `server, ${revision}`, runs });
    this.#judge({ name: `server ${revision}`, rule: 'equal', before: direct, after });
    if (!peers) return;
    const proxy = await stage('mcp-proxy', (place, url) => startMcpProxyChain(place, revision, url));
    const supergateway = await stage('supergateway', startSupergatewayChain);
    for (const [column, run] of named({ 'mcp-proxy': proxy, supergateway })) runs.set(column, run);
  }

  async #client(revision: Revision): Promise<void> {
    const { through } = this.#options;
    const stage = (via: 'direct' | Through): Promise<Run | undefined> =>
      this.#stageOf(`client ${revision}, ${via}`, async (place) => runClientSuite(revision, place, via));
    const direct = await stage('direct');
    const after = await stage(through);
    this.#overHttp.push({ name: `client, ${revision}`, runs: named({ direct, [through]: after }) });
    const alike = (scenario: string): boolean => through === 'pipe' && REFUSED_THROUGH_PIPE.has(scenario);
    const mayDiffer = (scenario: string): boolean => scenario.startsWith('auth/') && !alike(scenario);
    this.#judge({ name: `client ${revision}`, rule: 'equal', before: direct, after, mayDiffer, mustDiffer: true });
  }

  async #stdio(revision: Revision): Promise<void> {
    const stage = (name: string, serve: (place: Place) => Promise<Served>): Promise<Run | undefined> => this.#stdioStage(revision, name, serve);
    const bare = await stage('mcp-proxy, stdio server', (place) => startStdioChain(place, revision, false));
    const wrapped = await stage('mcp-proxy, gateway, stdio server', (place) => startStdioChain(place, revision, true));
    const served = await stage('gateway, stdio server', startGatewayOverStdio);
    const remote = await this.#httpStage(revision, 'mcp-proxy, mcp-remote, HTTP', (place, url) => startMcpProxyChain(place, revision, url));
    const bridged = await this.#httpStage(revision, 'mcp-proxy, gateway, HTTP', (place, url) => startGatewayAsRemote(place, revision, url));
    const row = (name: string, before: Run | undefined, after: Run | undefined, tolerated: readonly string[]): void => {
      this.#overStdio.push({ name: `${name}, ${revision}`, runs: named({ without: before, with: after }) });
      this.#judge({ name: `${name} ${revision}`, rule: 'no-worse', before, after, mayDiffer: (scenario) => tolerated.includes(scenario) });
    };
    row('stdio to stdio, behind mcp-proxy', bare, wrapped, []);
    row('stdio server over HTTP, in place of mcp-proxy', bare, served, STREAMS);
    row('HTTP upstream over stdio, in place of mcp-remote', remote, bridged, HEADERS);
  }

  /** A fixture of its own, with or without something in front of it. */
  #httpStage(revision: Revision, name: string, front?: Front): Promise<Run | undefined> {
    return this.#stageOf(`server ${revision}, ${name}`, async (place, started) => {
      const fixture = await startFixture({ ...place, name: `${place.name}-fixture` });
      started.push(fixture.running);
      let { port } = fixture;
      if (front !== undefined) {
        const served = await front(place, `http://localhost:${port}/mcp`);
        started.push(served.running);
        ({ port } = served);
      }
      return runServerSuite(revision, place, port, patience(name));
    });
  }

  #stdioStage(revision: Revision, name: string, serve: (place: Place) => Promise<Served>): Promise<Run | undefined> {
    return this.#stageOf(`stdio ${revision}, ${name}`, async (place, started) => {
      const { port, running } = await serve(place);
      started.push(running);
      return runServerSuite(revision, place, port, patience(name));
    });
  }

  /** One stage; undefined, and a reason on record, where it could not be run. */
  async #stageOf(name: string, work: (place: Place, started: Running[]) => Promise<Run>): Promise<Run | undefined> {
    this.#stage += 1;
    const begun = Date.now();
    process.stderr.write(`conformance: [${this.#stage} of ${this.#stages()}] ${name}\n`);
    const started: Running[] = [];
    try {
      const run = await work({ folder: this.#folder, name: `stage-${this.#stage}` }, started);
      process.stderr.write(`conformance:   ${cell(run)}, ${((Date.now() - begun) / 1000).toFixed(1)} s\n`);
      return run;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      process.stderr.write(`conformance:   could not be run: ${reason}\n`);
      this.#invalid.push(`${name} could not be run: ${reason}`);
      return undefined;
    } finally {
      await Promise.all(started.map((running) => running.stop()));
    }
  }

  #stages(): number {
    const perSet = { server: this.#options.peers ? 4 : 2, client: 2, stdio: 5 };
    return this.#options.legs.reduce((sum, leg) => sum + perSet[leg] * this.#options.revisions.length, 0);
  }

  #judge({ name, rule, before, after, mayDiffer = () => false, mustDiffer = false }: Judgement): void {
    if (before === undefined || after === undefined) return;
    const missing = before.requirements.scored.filter((scenario) => !before.scenarios.has(scenario));
    if (missing.length > 0) this.#invalid.push(`${name}: the run without the gateway left no results for ${missing.join(', ')}`);
    if (rule === 'equal' && before.exitCode !== 0) {
      this.#invalid.push(`${name}: the suite is not content without the gateway: ${before.score.requiredFailing.join(', ')}`);
    }
    const found = compare(rule, before.scenarios, after.scenarios);
    this.#comparisons.push({
      name,
      unexpected: found.filter((difference) => !mayDiffer(difference.scenario)),
      stale: mustDiffer ? stale(before.requirements.scored.filter(mayDiffer), found) : [],
    });
  }

  get exitCode(): number {
    if (this.#invalid.length > 0) return 3;
    return this.#comparisons.some((each) => each.unexpected.length > 0 || each.stale.length > 0) ? 1 : 0;
  }

  /** The tables of what ran. */
  tables(): string {
    const parts: string[] = [];
    if (this.#overHttp.length > 0) {
      const columns = ['direct', this.#options.through, 'mcp-proxy', 'supergateway'];
      parts.push(table('checks passed/failed', columns, this.#overHttp));
    }
    if (this.#overStdio.length > 0) parts.push(table('stdio: checks passed/failed', ['without', 'with'], this.#overStdio));
    return parts.join('\n');
  }

  report(): string {
    const parts = [this.tables()];
    for (const reason of this.#invalid) parts.push(`cannot be compared: ${reason}\n`);
    for (const { name, unexpected, stale: outdated } of this.#comparisons) {
      const lines = unexpected.map(({ scenario, check, before, after, detail }) => `  ${scenario}: ${check}: ${before} -> ${after}${detail === '' ? '' : `: ${detail.slice(0, 300)}`}`);
      for (const scenario of outdated) lines.push(`  ${scenario}: was expected to differ and does not; take it off the list`);
      parts.push(lines.length === 0 ? `${name}: as without the gateway\n` : `${name}: ${lines.length} differences\n${lines.join('\n')}\n`);
    }
    return parts.join('\n');
  }

  /** The same for machines. */
  json(): object {
    const rows = [...this.#overHttp, ...this.#overStdio].map(({ name, runs }) => ({
      name,
      runs: Object.fromEntries(
        [...runs].map(([column, { score, exitCode, scenarios }]) => [column, { ...score, suiteExitCode: exitCode, scenarios: Object.fromEntries(scenarios) }]),
      ),
    }));
    return { schema: 'mcp-bastion/conformance/1', rows, comparisons: this.#comparisons, invalid: this.#invalid };
  }
}
