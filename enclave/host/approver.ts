// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion approver`: makes the key by which a person approves held calls, and shows its public half. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { PASSPHRASE_BYTES_MIN } from '../../shared/limits.ts';
import { ed25519Fingerprint } from '../approval/ed25519.ts';
import type { LockedKey } from './approver-key.ts';
import { APPROVER_NAME_HINT, checkNewFile, createLockedKey, isApproverName, publicKeyText, readKeyFile, writeKeyFile } from './approver-key.ts';
import type { Terminal } from './passphrase.ts';
import { openTerminal, readPassphraseFrom } from './passphrase.ts';
import { visible } from '../../shared/cli/visible.ts';

export const APPROVER_USAGE = `usage: mcp-bastion approver new --name NAME [-o FILE] [--passphrase-fd N]
       mcp-bastion approver show FILE [--json]

Makes the key by which a person approves held calls. The file holds the private key
under a passphrase, which is asked for in the terminal; the public half goes into the
policy, as the line on standard output.

  --name NAME         who it is, as the policy and the audit log say; 1 to 32 of a-z,
                      0-9, dot, _ and -
  -o, --output FILE   where to write the key; default NAME.approver.json. A file that
                      is there already is never overwritten
  --passphrase-fd N   read the passphrase from this open file descriptor instead of
                      the terminal: its first line
  --json              print one JSON document

Keep the file where the agent cannot read it, best on another machine: whoever has the
file and the passphrase approves. A passphrase that is forgotten cannot be restored.

Exit status: 0 done; 2 usage; 3 could not.

example: mcp-bastion approver new --name alice
`;

export interface ApproverIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly cwd: string;
  /** For tests; default: the terminal of the process. */
  readonly terminal?: () => Terminal | null;
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { name: { type: 'string' }, output: { type: 'string', short: 'o' }, 'passphrase-fd': { type: 'string' }, json: { type: 'boolean' } },
    });
  } catch (error) {
    throw new Usage('USAGE', error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options', 'see: mcp-bastion approver --help');
  }
}

/** @throws Usage for something that is no file descriptor a command can be given */
export function parseFd(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (text === '1' || text === '2' || !/^[0-9]$/.test(text)) throw new Usage('USAGE', '--passphrase-fd is no file descriptor to read from', 'use 0, or 3 to 9, for example: --passphrase-fd 0 < FILE');
  return Number(text);
}

/** @throws Unavailable APPROVER_KEY where there is no terminal to ask in */
export function requireTerminal(open: () => Terminal | null): Terminal {
  const terminal = open();
  if (terminal === null) throw new Unavailable('APPROVER_KEY', 'there is no terminal to ask for the passphrase', 'run it in a terminal, or give --passphrase-fd N');
  return terminal;
}

async function askTwice(terminal: Terminal, name: string): Promise<Buffer> {
  const first = await terminal.ask(`new passphrase for ${name}: `);
  try {
    checkLength(first);
  } catch (error) {
    first.fill(0);
    throw error;
  }
  const second = await terminal.ask('the same again: ');
  const isSame = first.equals(second);
  second.fill(0);
  if (isSame) return first;
  first.fill(0);
  throw new Unavailable('APPROVER_KEY', 'the two passphrases differ', 'run it again');
}

function checkLength(passphrase: Uint8Array): void {
  if (passphrase.length < PASSPHRASE_BYTES_MIN) throw new Unavailable('APPROVER_KEY', `the passphrase has fewer than ${PASSPHRASE_BYTES_MIN} bytes`, 'several words are easy to remember and hard to guess');
}

async function newPassphrase(name: string, fd: number | null, io: ApproverIo): Promise<Buffer> {
  if (fd !== null) {
    const passphrase = readPassphraseFrom(fd);
    checkLength(passphrase);
    return passphrase;
  }
  const terminal = requireTerminal(io.terminal ?? openTerminal);
  try {
    return await askTwice(terminal, name);
  } finally {
    terminal.close();
  }
}

/** The line for `approval.approvers` of a policy. Quoted as a name may be a number to YAML. */
function policyLine({ name, publicKey }: LockedKey): string {
  return `${/^[a-z][a-z_-]*$/.test(name) && !/^(y|n|yes|no|on|off|true|false|null)$/.test(name) ? name : `'${name}'`}: '${publicKeyText(publicKey)}'`;
}

async function create(name: string, output: string, fd: number | null, io: ApproverIo): Promise<number> {
  const path = resolve(io.cwd, output);
  checkNewFile(path);
  const passphrase = await newPassphrase(name, fd, io);
  try {
    const key = await createLockedKey(name, passphrase);
    writeKeyFile(path, key);
    io.stdout.write(`${policyLine(key)}\n`);
    io.stderr.write(`wrote ${visible(output)}\nnext: put the line above into the policy, below approval.approvers\n`);
    return 0;
  } finally {
    passphrase.fill(0);
  }
}

function show(path: string, json: boolean, io: ApproverIo): number {
  const key = readKeyFile(resolve(io.cwd, path));
  const fingerprint = ed25519Fingerprint(key.publicKey);
  if (json) {
    const document = jsonObject({ schema: 'mcp-bastion/approver/1', name: key.name, public: publicKeyText(key.publicKey), fingerprint });
    io.stdout.write(`${wireJson(document)}\n`);
    return 0;
  }
  io.stdout.write(`${policyLine(key)}\n`);
  // The passphrase would be needed to know whether somebody changed it.
  io.stderr.write(`fingerprint: ${fingerprint}\nnote: this is what the file says; it is checked when the key is used\n`);
  return 0;
}

/**
 * Runs the command and returns its exit code.
 * @throws Usage for wrong arguments; Unavailable APPROVER_KEY, FILE_EXISTS, FILE_UNREADABLE
 */
export async function approverCommand(args: readonly string[], io: ApproverIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(APPROVER_USAGE);
    return 0;
  }
  const { values, positionals } = parseFlags(args);
  const [command, file, ...more] = positionals;
  const see = 'see: mcp-bastion approver --help';
  if (command === 'show' && file !== undefined && more.length === 0 && values.name === undefined && values.output === undefined && values['passphrase-fd'] === undefined) {
    return show(file, values.json === true, io);
  }
  if (command !== 'new' || file !== undefined || values.json === true) throw new Usage('USAGE', 'there is no such approver command', see);
  if (values.name === undefined) throw new Usage('USAGE', '--name is missing', see);
  if (!isApproverName(values.name)) throw new Usage('USAGE', '--name is not a name', APPROVER_NAME_HINT);
  return create(values.name, values.output ?? `${values.name}.approver.json`, parseFd(values['passphrase-fd']), io);
}
