// SPDX-License-Identifier: Apache-2.0
/** The tables of a segment, as text: what is there must be this and nothing else. */
import type { SchemaState } from '../../shared/audit/source.ts';
import type { Database } from '../store/sqlite.ts';
import { member } from './columns.ts';

/** "mcpb": marks the file as ours. */
export const APPLICATION_ID = 0x6d637062;
export const USER_VERSION = 1;

/** Generated columns read the body, so that they cannot disagree with it. */
const TABLES: readonly (readonly [name: string, sql: string])[] = [
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

/** Writes the tables into an empty database; inside the caller's transaction. */
export function createSchema(database: Database): void {
  database.pragma(`application_id = ${APPLICATION_ID}`);
  database.pragma(`user_version = ${USER_VERSION}`);
  for (const [, sql] of TABLES) database.exec(sql);
}

/** Compares what is there with what should be, by text. */
export function schemaState(database: Database): SchemaState {
  const objects: unknown[] = database.prepare('SELECT name, sql FROM sqlite_schema').all();
  if (objects.length === 0) return 'empty';
  let found = 0;
  let others = 0;
  for (const object of objects) {
    const name = member(object, 'name');
    const sql = member(object, 'sql');
    // Only SQLite itself can make objects of that name; the one for meta's key is the only one here.
    if (name === 'sqlite_autoindex_meta_1' && sql === null) continue;
    if (typeof name === 'string' && EXPECTED.get(name) === sql) found += 1;
    else others += 1;
  }
  const marked = database.pragma('application_id', { simple: true }) === APPLICATION_ID && database.pragma('user_version', { simple: true }) === USER_VERSION;
  if (found !== EXPECTED.size) return 'foreign';
  return marked && others === 0 ? 'expected' : 'extended';
}
