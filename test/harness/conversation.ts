// SPDX-License-Identifier: Apache-2.0
/** Records what crosses the wire at a client, with or without the gateway, and compares two such records. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { launcher, root } from './gateway.ts';
import type { Wire } from './gateway.ts';

/** A command that notes both directions of another command's stdio in a file. */
export function recorded(file: string, command: readonly string[]): string[] {
  return [process.execPath, join(root, 'test', 'peers', 'recorder.ts'), file, ...command];
}

/** The same server behind the gateway. */
export function gatewayed(policy: string, state: string, command: readonly string[]): string[] {
  return [process.execPath, launcher, 'up', '--policy', policy, '--state', state, '--name', 'peer', '--', ...command];
}

function sorted(value: Wire): Wire {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

/** What may differ from run to run, or by the gateway's own listing: made the same on both sides. */
function settled(line: string): string {
  return line
    .replaceAll(/"blob":"([^"]*)"/g, (_all, blob: string) => `"blob":${JSON.stringify(Buffer.from(blob, 'base64').toString('latin1'))}`)
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/\d{1,2}:\d\d:\d\d( [AP]M)?/g, 'TIME')
    .replaceAll(/"(taskId|elicitationId)":"[^"]+"/g, '"$1":"ID"')
    .replaceAll(/"nextCursor":"[^"]+"/g, '"nextCursor":"CURSOR"');
}

/** Listings of tools: at the server, the gateway makes them by itself, and not as often as the client. */
function isListing(message: Wire): boolean {
  return message.method === 'tools/list' || Array.isArray(message.result?.tools);
}

/** The messages of one direction in canonical form, in order. */
export function messages(file: string, direction: '>' | '<', listings: 'with listings' | 'without listings'): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(direction))
    .map((line): Wire => JSON.parse(line.slice(1)))
    .filter((message) => listings === 'with listings' || !isListing(message))
    .map((message) => settled(JSON.stringify(sorted(message))));
}
