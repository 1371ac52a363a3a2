// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion inspect-log`: shows the last rows of logs, or verifies them. It reads only, and leaves no file behind. */
import { isAbsolute, relative, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { readTrust, trustPath } from '../audit/trust.ts';
import { logsRoot } from '../audit/slots.ts';
import { findLogs } from '../audit/walk.ts';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { INSPECT_ROWS_MAX } from '../../shared/limits.ts';
import { rowsAsJson, rowsAsText, readRows } from './rows.ts';
import { defaultStateDir } from './state.ts';
import { reportsAsJson, reportsAsText, verifyLogs } from './verdict.ts';

const ROWS_DEFAULT = 20;

const USAGE = `usage: mcp-bastion inspect-log [PATH] [options]

Shows the last rows of audit logs, oldest first, or verifies them.

  PATH           a log directory, a directory above logs (all are walked and merged
                 by time), or one .sqlite file; default: all logs of local mode
  --verify       check every row, signature, payload and anchor line
  --limit N      show the last N rows (default ${ROWS_DEFAULT})
  --payload      show what is stored of each message, after redaction
  --json         print one JSON document
  --trust FILE   which keys belong to which log; default: trust.json of the state
                 folder, if it is there
  --state DIR    the state folder; default MCP_BASTION_STATE or the platform's

Exit status: 0 shown, or verified; 1 a log does not match; 2 usage; 3 could not check.
A log without -shm file is read from a private copy in the folder for temporary files.

example: mcp-bastion inspect-log --verify
`;

export interface InspectIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds since 1970. */
  now(): number;
}

interface InspectOptions {
  readonly path: string;
  readonly verify: boolean;
  readonly limit: number;
  readonly json: boolean;
  readonly payload: boolean;
  readonly trust: string | undefined;
  readonly stateDir: string;
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        verify: { type: 'boolean' },
        limit: { type: 'string' },
        json: { type: 'boolean' },
        payload: { type: 'boolean' },
        trust: { type: 'string' },
        state: { type: 'string' },
      },
    });
  } catch (error) {
    throw new Usage('USAGE', error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options', 'see: mcp-bastion inspect-log --help');
  }
}

function parseOptions(args: readonly string[], env: NodeJS.ProcessEnv): InspectOptions {
  const { values, positionals } = parseFlags(args);
  if (positionals.length > 1) throw new Usage('USAGE', 'more than one path', 'name one directory above all logs, or call it once for each');
  const text = values.limit ?? String(ROWS_DEFAULT);
  const limit = /^[1-9][0-9]{0,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > INSPECT_ROWS_MAX) throw new Usage('USAGE', '--limit is no number of rows', `use 1 to ${INSPECT_ROWS_MAX}`);
  const stateDir = values.state ?? defaultStateDir(env);
  return {
    path: positionals[0] ?? logsRoot(stateDir),
    verify: values.verify === true,
    limit,
    json: values.json === true,
    payload: values.payload === true,
    trust: values.trust,
    stateDir,
  };
}

function show(options: InspectOptions, io: InspectIo): number {
  const rows = readRows(findLogs(options.path), options.limit, options.payload);
  io.stdout.write(options.json ? rowsAsJson(rows) : rowsAsText(rows));
  return 0;
}

function verify(options: InspectOptions, io: InspectIo): number {
  const trustFile = options.trust ?? trustPath(options.stateDir);
  const trust = readTrust(trustFile);
  if (trust === null && options.trust !== undefined) throw new Unavailable('FILE_UNREADABLE', `there is no trust file ${trustFile}`, 'name the one that was kept apart from the log');
  const logs = findLogs(options.path);
  // A log of this state folder is always in its trust file; one from elsewhere may never have been.
  const below = relative(logsRoot(options.stateDir), options.path);
  const own = !isAbsolute(below) && below.split(sep)[0] !== '..';
  const reports = verifyLogs(logs, {
    trust,
    unknownLogs: options.trust !== undefined || own ? 'refuse' : 'not-pinned',
    now: Math.floor(io.now() / 1000),
    progress: (rows) => {
      if (io.stderr.isTTY === true) io.stderr.write(`\r${rows} rows`);
    },
  });
  if (io.stderr.isTTY === true) io.stderr.write('\r');
  const printed = options.json ? reportsAsJson(reports) : reportsAsText(reports, trust === null ? null : trustFile);
  io.stdout.write(printed.text);
  return printed.exit;
}

/** Runs the command and returns its exit code. */
export async function inspectLog(args: string[], io: InspectIo): Promise<number> {
  if (args.includes('--help')) {
    io.stdout.write(USAGE);
    return 0;
  }
  try {
    const options = parseOptions(args, io.env);
    return options.verify ? verify(options, io) : show(options, io);
  } catch (error) {
    if (!(error instanceof Usage) && !(error instanceof Unavailable)) throw error;
    io.stderr.write(`inspect-log: error: ${error.message}\nhint: ${error.hint}\n`);
    return error instanceof Usage ? 2 : 3;
  }
}
