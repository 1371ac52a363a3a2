// SPDX-License-Identifier: Apache-2.0
/** Runs the published suite once, in server or in client mode, and reads what it wrote. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Running } from './processes.ts';
import { readRequirements, readResults, score } from './results.ts';
import type { Leg, Requirements, Revision, Scenarios, Score } from './results.ts';
import { ROOT, SUITE } from './targets.ts';
import type { Place, Through } from './targets.ts';
import { openTurnstile } from './turnstile.ts';

const SERVER_MS_MAX = 420_000;
const CLIENT_MS_MAX = 600_000;
const SCENARIO_MS_MAX = 30_000;
/** Clients, each with a gateway, at the same time. */
const CLIENTS_AT_ONCE = 2;

export interface Run {
  readonly leg: Leg;
  readonly revision: Revision;
  readonly scenarios: Scenarios;
  readonly requirements: Requirements;
  readonly score: Score;
  /** The suite's own verdict against an empty list of expected failures; undefined where it had to be ended. */
  readonly exitCode: number | undefined;
}

interface Job {
  readonly leg: Leg;
  readonly revision: Revision;
  readonly place: Place;
  readonly options: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly msMax: number;
}

async function runSuite({ leg, revision, place, options, env, msMax }: Job): Promise<Run> {
  const out = join(place.folder, `${place.name}-results`);
  mkdirSync(out);
  const baseline = join(place.folder, 'no-expected-failures.yml');
  writeFileSync(baseline, 'server: []\nclient: []\n');
  const command = [process.execPath, join(SUITE, 'dist', 'index.js'), leg, '--requirements', revision, '-o', out];
  const suite = new Running({
    argv: [...command, '--expected-failures', baseline, ...options],
    logFile: join(place.folder, `${place.name}-suite.log`),
    cwd: ROOT,
    env: { ...env, PATH: [join(ROOT, 'node_modules', '.bin'), process.env['PATH']].join(delimiter) },
  });
  const exitCode = await suite.finish(msMax);
  const scenarios = readResults(out, leg);
  const requirements = readRequirements(SUITE, revision, leg);
  return { leg, revision, scenarios, requirements, score: score(scenarios, requirements), exitCode };
}

/** The name `localhost`, not the address: the suite tests DNS rebinding only there. */
export function runServerSuite(revision: Revision, place: Place, port: number, scenarioMsMax: number = SCENARIO_MS_MAX): Promise<Run> {
  const options = ['--url', `http://localhost:${port}/mcp`, '--timeout', String(scenarioMsMax)];
  return runSuite({ leg: 'server', revision, place, options, env: {}, msMax: SERVER_MS_MAX });
}

export async function runClientSuite(revision: Revision, place: Place, via: 'direct' | Through): Promise<Run> {
  const path = join(place.folder, `${place.name}.sock`);
  const turnstile = await openTurnstile(path, CLIENTS_AT_ONCE);
  // The suite splits the command at spaces, so that only relative names are safe in it.
  const options = ['--command', 'node scripts/conformance/client-run.ts', '--timeout', String(CLIENT_MS_MAX)];
  const env = { BASTION_CONFORMANCE_TURNSTILE: path, BASTION_CONFORMANCE_VIA: via, BASTION_CONFORMANCE_FOLDER: place.folder };
  try {
    return await runSuite({ leg: 'client', revision, place, options, env, msMax: CLIENT_MS_MAX });
  } finally {
    turnstile.close();
  }
}
