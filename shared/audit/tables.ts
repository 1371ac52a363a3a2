// SPDX-License-Identifier: Apache-2.0
/** The tables of a segment, as text: what is there must be this and nothing else (audit reference, 2.2). */
import type { SchemaState } from './source.ts';

/** "mcpb": marks the file as ours. */
export const APPLICATION_ID = 0x6d637062;
export const USER_VERSION = 1;

/** Generated columns read the body, so that they cannot disagree with it. */
export const TABLES: readonly (readonly [name: string, sql: string])[] = [
  [
    'entry',
    `CREATE TABLE entry (
  idx INTEGER PRIMARY KEY NOT NULL,
  body TEXT NOT NULL,
  leaf BLOB NOT NULL CHECK (length(leaf) = 32),
  ts_ms INTEGER GENERATED ALWAYS AS (json_extract(body, '$.wall')) VIRTUAL,
  kind TEXT GENERATED ALWAYS AS (json_extract(body, '$.kind')) VIRTUAL,
  call_id TEXT GENERATED ALWAYS AS (json_extract(body, '$.call_id')) VIRTUAL,
  tenant TEXT GENERATED ALWAYS AS (json_extract(body, '$.tenant')) VIRTUAL,
  principal TEXT GENERATED ALWAYS AS (json_extract(body, '$.principal')) VIRTUAL,
  tool TEXT GENERATED ALWAYS AS (json_extract(body, '$.tool')) VIRTUAL,
  decision TEXT GENERATED ALWAYS AS (json_extract(body, '$.decision')) VIRTUAL
) STRICT`,
  ],
  [
    'payload',
    `CREATE TABLE payload (
  idx INTEGER PRIMARY KEY NOT NULL,
  salt BLOB NOT NULL CHECK (length(salt) = 32),
  media TEXT NOT NULL,
  data BLOB NOT NULL
) STRICT`,
  ],
  [
    'checkpoint',
    `CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  ts INTEGER NOT NULL,
  key_id BLOB NOT NULL CHECK (length(key_id) = 4),
  sig BLOB NOT NULL CHECK (length(sig) = 2420)
) STRICT`,
  ],
  [
    'tile',
    `CREATE TABLE tile (
  level INTEGER NOT NULL,
  n INTEGER NOT NULL,
  hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
  PRIMARY KEY (level, n)
) STRICT, WITHOUT ROWID`,
  ],
  [
    'evidence',
    `CREATE TABLE evidence (
  size INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  data BLOB NOT NULL
) STRICT`,
  ],
  [
    'meta',
    `CREATE TABLE meta (
  k TEXT PRIMARY KEY NOT NULL,
  v TEXT NOT NULL
) STRICT`,
  ],
  ['entry_ts', 'CREATE INDEX entry_ts ON entry (ts_ms)'],
  ['entry_call', 'CREATE INDEX entry_call ON entry (call_id)'],
];

const EXPECTED: ReadonlyMap<string, string> = new Map(TABLES);

/** An object of sqlite_schema as stored; attacker-controlled. */
export interface SchemaObject {
  readonly name: unknown;
  readonly sql: unknown;
}

/** Compares what is there with what should be, by text. */
export function schemaStateOf(objects: readonly SchemaObject[], applicationId: unknown, userVersion: unknown): SchemaState {
  if (objects.length === 0) return 'empty';
  let found = 0;
  let others = 0;
  for (const { name, sql } of objects) {
    // Only SQLite itself can make objects of that name; the one for meta's key is the only one here.
    if (name === 'sqlite_autoindex_meta_1' && sql === null) continue;
    if (typeof name === 'string' && EXPECTED.get(name) === sql) found += 1;
    else others += 1;
  }
  if (found !== EXPECTED.size) return 'foreign';
  return applicationId === APPLICATION_ID && userVersion === USER_VERSION && others === 0 ? 'expected' : 'extended';
}
