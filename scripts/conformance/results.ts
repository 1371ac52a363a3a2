// SPDX-License-Identifier: Apache-2.0
/** What one run of the suite found, check by check, as it wrote it into its output folder. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export type Status = 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';

export interface Check {
  readonly id: string;
  /** Several checks of a scenario may share an id and differ in their name. */
  readonly name: string;
  readonly status: Status;
  readonly errorMessage?: string;
}

export type Scenarios = ReadonlyMap<string, readonly Check[]>;
export type Leg = 'server' | 'client';
export type Revision = '2025-11-25' | '2026-07-28';

export interface Requirements {
  /** Scenarios that count. */
  readonly scored: readonly string[];
  /** Scenarios that run but never count in the suite's own verdict; here they are compared all the same. */
  readonly unscored: readonly string[];
}

export interface Score {
  readonly passed: number;
  readonly failed: number;
  readonly warnings: number;
  readonly requiredFailing: readonly string[];
}

/** The scenario in a result folder's path: `server-` first in server mode, and the time of the run at the end. */
const RESULT = /^(.*)-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}-\d{3}Z\/checks\.json$/;

export function readResults(folder: string, leg: Leg): Scenarios {
  const scenarios = new Map<string, readonly Check[]>();
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => file.replaceAll('\\', '/'));
  for (const file of files) {
    const path = RESULT.exec(file)?.[1];
    if (path === undefined) continue;
    const checks: Check[] = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    scenarios.set(leg === 'server' ? path.replace(/^server-/, '') : path, checks);
  }
  return scenarios;
}

export function readRequirements(suite: string, revision: Revision, leg: Leg): Requirements {
  const document: Record<Leg, string[]> & { not_scored: { scenario: string; leg: Leg }[] } = parse(
    readFileSync(join(suite, 'requirements', `${revision}.yaml`), 'utf8'),
  );
  const unscored = document.not_scored.filter((each) => each.leg === leg).map((each) => each.scenario);
  return { scored: document[leg], unscored };
}

export function score(scenarios: Scenarios, requirements: Requirements): Score {
  const all = [...scenarios.values()].flat();
  const count = (status: Status): number => all.filter((check) => check.status === status).length;
  // As the suite scores them: warnings do not count. A scenario that left no results did not run to its end.
  const fails = (scenario: string): boolean => scenarios.get(scenario)?.some((check) => check.status === 'FAILURE') ?? true;
  return {
    passed: count('SUCCESS'),
    failed: count('FAILURE'),
    warnings: count('WARNING'),
    requiredFailing: requirements.scored.filter(fails),
  };
}
