// SPDX-License-Identifier: Apache-2.0
/** The last rows of logs, as they stand: nothing of them is verified here. */
import { basename, join } from 'node:path';
import { parseBody } from '../../shared/audit/body.ts';
import { SEALED_MEDIA } from '../../shared/audit/row.ts';
import { UnreadableSegment } from '../../shared/audit/source.ts';
import type { StoredEntry } from '../../shared/audit/source.ts';
import { Unavailable } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { SegmentReader } from '../audit/reader.ts';
import type { LogFiles } from '../audit/walk.ts';
import { visible } from '../../shared/cli/visible.ts';

/** One row of one of the logs. */
export interface ShownRow {
  readonly segment: string;
  readonly idx: number;
  readonly wall: number;
  /** Null where the row is not readable. */
  readonly members: JsonObject | null;
  /** Null where none is stored or none was asked for. */
  readonly payload: string | null;
}

/** @throws Unavailable FILE_UNREADABLE */
export function readRows(logs: readonly LogFiles[], limit: number, payload: boolean): ShownRow[] {
  const rows: ShownRow[] = [];
  for (const { dir, segments } of logs) {
    // Newest epoch first: the older ones are needed only if it has too few rows.
    let wanted = limit;
    for (const segment of [...segments].reverse()) {
      if (wanted <= 0) break;
      const tail = readTail(segment, join(dir, basename(segment)), wanted, payload);
      wanted -= tail.length;
      rows.push(...tail);
    }
  }
  rows.sort((left, right) => left.wall - right.wall || left.segment.localeCompare(right.segment) || left.idx - right.idx);
  return rows.slice(-limit);
}

function readTail(path: string, segment: string, limit: number, payload: boolean): ShownRow[] {
  let reader: SegmentReader | undefined;
  try {
    const open = new SegmentReader(path);
    reader = open;
    if (open.schema === 'empty') return [];
    if (open.schema === 'foreign') throw unreadable(path);
    return open.tail(limit).map((entry) => shownRow(open, segment, entry, payload));
  } catch (error) {
    if (error instanceof UnreadableSegment) throw unreadable(path, error);
    throw error;
  } finally {
    reader?.close();
  }
}

function unreadable(path: string, cause?: unknown): Unavailable {
  return new Unavailable('FILE_UNREADABLE', `${path} is no audit log, or a damaged one`, 'logs of the earlier release and other databases are not read', cause);
}

function shownRow(reader: SegmentReader, segment: string, entry: StoredEntry, withPayload: boolean): ShownRow {
  const idx = typeof entry.idx === 'number' ? entry.idx : -1;
  const parsed = entry.body instanceof Uint8Array ? parseBody(new TextDecoder().decode(entry.body)) : undefined;
  const stored = withPayload ? reader.payload(idx) : undefined;
  return {
    segment,
    idx,
    wall: parsed?.ok === true ? parsed.body.wall : 0,
    members: parsed?.ok === true ? parsed.body.members : null,
    payload: stored?.media === SEALED_MEDIA ? '[sealed]' : stored?.data instanceof Uint8Array ? new TextDecoder().decode(stored.data) : null,
  };
}

const TIME_MAX = 8.64e15;

function timeOf(wall: number): string {
  return wall <= TIME_MAX ? new Date(wall).toISOString() : 'no-time';
}

/** What a line names beside time, server and decision, in the order of the members' importance. */
function subjectOf(members: JsonObject): string[] {
  const parts: string[] = [];
  const traffic = members['dir'] !== undefined;
  for (const key of ['dir', 'kind', 'method', 'type', 'change', 'tool', 'status', 'reason', 'count']) {
    const value = members[key];
    if (key === 'kind' && traffic) continue;
    if (typeof value === 'string' || typeof value === 'number') parts.push(String(value));
  }
  return parts;
}

function lineOf(row: ShownRow): string {
  const { members } = row;
  if (members === null) return `${row.segment} row ${row.idx}: not readable as a row`;
  const text = (key: string): string[] => (typeof members[key] === 'string' ? [members[key]] : []);
  const why = [...text('rule'), ...text('code')];
  const decision = text('decision').map((one) => `→ ${one}${why.length === 0 ? '' : ':'}`);
  return visible([timeOf(row.wall), ...text('server'), ...subjectOf(members), ...decision, ...why].join(' '));
}

/** One line per row, the oldest first. */
export function rowsAsText(rows: readonly ShownRow[]): string {
  return rows.map((row) => `${lineOf(row)}\n${row.payload === null ? '' : `    ${visible(row.payload)}\n`}`).join('');
}

/** `{"schema":"mcp-bastion/inspect-log/1","rows":[...]}`; control characters stand escaped, as JSON asks. */
export function rowsAsJson(rows: readonly ShownRow[]): string {
  const list = rows.map(({ segment, idx, members, payload }) => jsonObject({ segment: segment.toWellFormed(), idx, row: members, payload: payload?.toWellFormed() ?? null }));
  return `${wireJson(jsonObject({ schema: 'mcp-bastion/inspect-log/1', rows: list }))}\n`;
}
