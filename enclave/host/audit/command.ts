// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion audit prove | bundle | verify`: evidence from a log, for people who do not have the log. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildProof } from '../../../shared/audit/proof.ts';
import { isBundle } from '../../../shared/cli/bundle-dir.ts';
import { readFile } from '../../../shared/cli/files.ts';
import { verifyBundleAt, verifyProofAt } from '../../../shared/cli/verify-evidence.ts';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { ATTESTATION_BYTES_MAX, BUNDLE_ROWS_MAX, POLICY_BYTES_MAX } from '../../../shared/limits.ts';
import { SEALED_MEDIA } from '../../../shared/audit/row.ts';
import { utf8 } from '../../../shared/bytes.ts';
import { epochOf } from '../../audit/files.ts';
import { logsRoot } from '../../audit/slots.ts';
import { readTrust, trustPath } from '../../audit/trust.ts';
import { findLogs } from '../../audit/walk.ts';
import { defaultStateDir } from '../state.ts';
import { bundleOf, writeBundle, writeNew } from './bundle.ts';
import { exportRows } from './export.ts';
import { AUDIT_USAGE } from './usage.ts';

const SEE_HELP = 'see: mcp-bastion audit --help';

export interface AuditIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly env: NodeJS.ProcessEnv;
}

type Values = ReturnType<typeof parse>['values'];

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        row: { type: 'string' },
        rows: { type: 'string' },
        epoch: { type: 'string' },
        payloads: { type: 'boolean' },
        policy: { type: 'string' },
        attestation: { type: 'string' },
        out: { type: 'string', short: 'o' },
        trust: { type: 'string' },
        'accept-unchecked': { type: 'string' },
        state: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new Usage('USAGE', error instanceof Error ? (error.message.split(/\. |\.?\n/)[0] ?? 'bad options') : 'bad options', SEE_HELP);
  }
}

const OPTIONS: Readonly<Record<string, ReadonlySet<string>>> = {
  prove: new Set(['row', 'epoch', 'out', 'state']),
  bundle: new Set(['rows', 'epoch', 'payloads', 'policy', 'attestation', 'out', 'state']),
  verify: new Set(['trust', 'accept-unchecked', 'state', 'json']),
};

/** An option of another command would be passed over. */
function requireOwn(command: string, values: Values): void {
  const foreign = Object.keys(values).find((name) => OPTIONS[command]?.has(name) !== true);
  if (foreign !== undefined) throw new Usage('USAGE', `--${foreign} does not belong to audit ${command}`, SEE_HELP);
}

function natural(text: string | undefined, option: string): number {
  const value = text !== undefined && /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new Usage('USAGE', text === undefined ? `${option} is missing` : `${option} is no number`, SEE_HELP);
  return value;
}

function rangeOf(text: string | undefined): readonly [first: number, last: number] {
  const [, from, to] = /^([0-9]+)-([0-9]+)$/.exec(text ?? '') ?? [];
  if (from === undefined || to === undefined) throw new Usage('USAGE', text === undefined ? '--rows is missing' : '--rows is no range', 'write the first and the last row, such as 120-140');
  const [first, last] = [natural(from, '--rows'), natural(to, '--rows')];
  if (first > last || last - first >= BUNDLE_ROWS_MAX) throw new Usage('USAGE', '--rows is no range of rows that a bundle takes', `write the smaller number first; a bundle takes ${BUNDLE_ROWS_MAX} rows`);
  return [first, last];
}

/** The segment that is meant: the only log there is, its last epoch or the one named. */
function segmentOf(path: string | undefined, values: Values, env: NodeJS.ProcessEnv): string {
  const logs = findLogs(path ?? logsRoot(values.state ?? defaultStateDir(env)));
  const [log] = logs;
  if (log === undefined) throw new Unavailable('FILE_UNREADABLE', 'there is no log here', 'name a log directory or one .sqlite file');
  if (logs.length > 1) throw new Usage('USAGE', 'there are several logs', `name one of them, such as ${log.dir}`);
  const epoch = values.epoch === undefined ? undefined : natural(values.epoch, '--epoch');
  const segment = epoch === undefined ? log.segments.at(-1) : log.segments.find((candidate) => epochOf(candidate.split(/[/\\]/).at(-1) ?? '') === epoch);
  if (segment === undefined) throw new Unavailable('FILE_UNREADABLE', 'the log does not have this epoch', 'leave --epoch out for the last one');
  return segment;
}

function outOf(values: Values): string {
  if (values.out === undefined || values.out === '') throw new Usage('USAGE', '-o is missing', 'name where to write');
  // Looked at first, so that nothing is read for nothing; the write itself refuses too.
  if (lstatSync(values.out, { throwIfNoEntry: false }) !== undefined) throw new Unavailable('FILE_EXISTS', `${values.out} is there already`, 'name another, or move it away');
  return values.out;
}

function prove(path: string | undefined, values: Values, io: AuditIo): number {
  const row = natural(values.row, '--row');
  const out = outOf(values);
  if (!out.endsWith('.tlog-proof')) throw new Usage('USAGE', '-o does not end in .tlog-proof', 'by that name a proof is known again');
  const exported = exportRows(segmentOf(path, values, io.env), row, row, false);
  const [proved] = exported.rows;
  if (proved === undefined) throw new TypeError('no row was exported');
  writeNew(`${out}.vkey`, utf8(`${exported.vkey}\n`));
  writeNew(out, utf8(buildProof(proved.proof)));
  io.stderr.write(`audit: row ${row} of ${exported.origin}, proved against a checkpoint of ${exported.size} rows\n`);
  return 0;
}

function bundle(path: string | undefined, values: Values, io: AuditIo): number {
  const [first, last] = rangeOf(values.rows);
  const out = outOf(values);
  const policy = values.policy === undefined ? null : readFile(values.policy, 'policy', POLICY_BYTES_MAX);
  const attestation = values.attestation === undefined ? null : readFile(values.attestation, 'attestation', ATTESTATION_BYTES_MAX);
  const exported = exportRows(segmentOf(path, values, io.env), first, last, values.payloads === true);
  const sealed = exported.rows.some((row) => row.payload?.media === SEALED_MEDIA);
  if (sealed) throw new Usage('USAGE', 'the payloads of this log are sealed', 'leave --payloads out; their readers open them with: mcp-bastion audit open');
  writeBundle(out, bundleOf(exported, { policy, attestation }));
  io.stderr.write(`audit: rows ${first} to ${last} of ${exported.origin} in ${join(out, '')}; check it with: mcp-bastion audit verify ${out}\n`);
  return 0;
}

function verify(path: string | undefined, values: Values, io: AuditIo): number {
  if (path === undefined) throw new Usage('USAGE', 'what to verify is missing', 'name a bundle or a proof');
  const accepted = values['accept-unchecked'];
  if (accepted !== undefined && accepted !== 'key') throw new Usage('USAGE', '--accept-unchecked names something that has to be checked, or nothing known', 'choose from: key');
  if (accepted !== undefined && values.trust !== undefined) throw new Usage('USAGE', 'the key is checked by --trust and accepted as unchecked', 'leave one of them out');
  const trust = accepted === undefined ? readTrust(values.trust ?? trustPath(values.state ?? defaultStateDir(io.env))) : null;
  if (trust === null && values.trust !== undefined) throw new Unavailable('FILE_UNREADABLE', `there is no trust file ${values.trust}`, 'name the one that was kept apart from the log');
  const options = { path, trust, acceptUnpinned: accepted !== undefined, json: values.json === true };
  if (!isBundle(path) && !path.endsWith('.tlog-proof')) throw new Usage('USAGE', 'this is no bundle and no .tlog-proof', 'a log is verified with: bastion-verify-log');
  const printed = isBundle(path) ? verifyBundleAt(options) : verifyProofAt(options);
  io.stdout.write(printed.text);
  return printed.exit;
}

const COMMANDS: ReadonlyMap<string, typeof prove> = new Map([
  ['prove', prove],
  ['bundle', bundle],
  ['verify', verify],
]);

/** Runs the command and returns its exit code. */
export async function auditCommand(args: readonly string[], io: AuditIo): Promise<number> {
  const [name = '', ...rest] = args;
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(AUDIT_USAGE);
    return 0;
  }
  try {
    const command = COMMANDS.get(name);
    if (command === undefined) throw new Usage('USAGE', name === '' ? 'prove, bundle or verify is missing' : 'there is no such command', SEE_HELP);
    const { values, positionals } = parse(rest);
    requireOwn(name, values);
    if (positionals.length > 1) throw new Usage('USAGE', 'more than one path', SEE_HELP);
    return command(positionals[0], values, io);
  } catch (error) {
    if (!(error instanceof Usage) && !(error instanceof Unavailable)) throw error;
    io.stderr.write(`audit: error: ${error.message}\nhint: ${error.hint}\n`);
    return error instanceof Usage ? 2 : 3;
  }
}
