// SPDX-License-Identifier: Apache-2.0
/** What the audit log of a soak says: every call has one row and one row for its end, and nothing has two. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

interface Row {
  readonly kind: string;
  readonly call_id?: string | null;
  readonly method?: string | null;
  readonly origin?: string;
  readonly decision?: string;
  readonly code?: string | null;
}

export interface LogSummary {
  readonly rows: number;
  readonly calls: number;
  /** Rows of answers to calls that the gateway gave by itself, by their code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Calls that were forwarded and neither answered nor cancelled. */
  readonly open: number;
  readonly violations: readonly string[];
}

function* rowsOf(folder: string): Generator<Row> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /(^|\/)\d+\.sqlite$/.test(file));
  for (const file of files.toSorted()) {
    const db = new Database(join(folder, file), { readonly: true });
    for (const { body } of db.prepare<[], { body: string }>('SELECT body FROM entry ORDER BY idx').iterate()) yield JSON.parse(body);
    db.close();
  }
}

/** Reads a whole log that nobody writes any more. */
export function summarize(folder: string): LogSummary {
  const calls = new Map<string, { ends: number; moved: boolean; cancelled: boolean }>();
  const errors: Record<string, number> = {};
  const violations: string[] = [];
  let rows = 0;
  for (const row of rowsOf(folder)) {
    rows += 1;
    const { kind, call_id: id, code = null } = row;
    if (id === null || id === undefined) continue;
    const call = calls.get(id);
    if (kind === 'call') {
      if (call !== undefined) violations.push(`call ${id} has two rows`);
      calls.set(id, { ends: 0, moved: row.decision !== 'deny', cancelled: false });
    } else if (row.method === 'notifications/cancelled') {
      if (call !== undefined) call.cancelled = true;
    } else if (kind === 'result') {
      if (call === undefined) {
        violations.push(`call ${id} has an answer and no row`);
        continue;
      }
      // What comes after a cancellation is recorded beside it, and goes nowhere.
      if (code !== 'CANCELLED') call.ends += 1;
      if (call.ends > 1) violations.push(`call ${id} has ${call.ends} answers`);
      if (row.origin === 'gateway' && code !== null) errors[code] = (errors[code] ?? 0) + 1;
    }
  }
  const open = [...calls.values()].filter(({ ends, moved, cancelled }) => moved && !cancelled && ends === 0).length;
  return { rows, calls: calls.size, errors, open, violations };
}
