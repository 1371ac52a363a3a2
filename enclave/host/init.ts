// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion init`: writes the starter policy to standard output or to a new file. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { STARTER_POLICY } from './starter.ts';

const INIT_USAGE = `usage: mcp-bastion init [-o FILE] [--force]

Writes a commented starter policy.

  -o, --output FILE   write to FILE instead of standard output
  --force             overwrite FILE
`;

export interface InitIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Relative names are resolved against it. */
  readonly cwd: string;
}

/**
 * Runs the command and returns its exit code.
 * @throws Usage for wrong arguments, Unavailable (FILE_EXISTS, FILE_UNREADABLE) where the file cannot be written
 */
export async function initPolicy(args: string[], io: InitIo): Promise<number> {
  const { help, force, output } = parse(args);
  if (help === true) {
    io.stdout.write(INIT_USAGE);
    return 0;
  }
  if (output === undefined || output === '-') {
    io.stdout.write(STARTER_POLICY);
    return 0;
  }
  await write(resolve(io.cwd, output), force === true);
  io.stderr.write(`wrote ${output}\nnext: mcp-bastion up --policy ${output} -- COMMAND\n`);
  return 0;
}

interface InitOptions {
  readonly help?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly output?: string | undefined;
}

function parse(args: string[]): InitOptions {
  try {
    return parseArgs({
      args,
      options: { help: { type: 'boolean', short: 'h' }, force: { type: 'boolean' }, output: { type: 'string', short: 'o' } },
    }).values;
  } catch {
    throw new Usage('USAGE', 'these arguments are not known', 'usage: mcp-bastion init [-o FILE] [--force]');
  }
}

async function write(path: string, force: boolean): Promise<void> {
  try {
    await writeFile(path, STARTER_POLICY, { flag: force ? 'w' : 'wx' });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      throw new Unavailable('FILE_EXISTS', 'the file is there already', 'choose another name, or overwrite it with --force', error);
    }
    throw new Unavailable('FILE_UNREADABLE', 'the file cannot be written', 'check the folder and its permissions', error);
  }
}
