// SPDX-License-Identifier: Apache-2.0
/**
 * The `bastion-eif` command. Standard output is data, standard error is talk; exit codes: 0 done, 1 does not match, 2
 * usage, 3 unable.
 */
import { Unavailable, Usage } from '../shared/errors.ts';
import { VERSION } from '../shared/version.ts';
import type { CommandIo, ExitCode } from './commands/arguments.ts';
import { DIFF_USAGE, diff } from './commands/diff.ts';
import { DESCRIBE_USAGE, MEASURE_USAGE, describe, measure } from './commands/measure.ts';
import { SIGN_USAGE, sign } from './commands/sign.ts';
import { VERIFY_USAGE, verify } from './commands/verify.ts';

const USAGE = `usage: bastion-eif COMMAND [options]

  measure    print the measurements (PCRs) of an enclave image
  describe   print what "nitro-cli describe-eif" prints
  sign       sign an image, or its PCR0 on another machine
  verify     check an image against expected measurements or a signer
  diff       show what two images differ in
  version    print the version

"bastion-eif COMMAND --help" says more.
`;

interface Command {
  readonly usage: string;
  readonly run: (args: readonly string[], io: CommandIo) => ExitCode;
}

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['measure', { usage: MEASURE_USAGE, run: measure }],
  ['describe', { usage: DESCRIBE_USAGE, run: describe }],
  ['sign', { usage: SIGN_USAGE, run: sign }],
  ['verify', { usage: VERIFY_USAGE, run: verify }],
  ['diff', { usage: DIFF_USAGE, run: diff }],
]);

const EXIT_USAGE = 2;
const EXIT_UNABLE = 3;

function run(name: string, args: readonly string[], io: CommandIo): ExitCode {
  const command = COMMANDS.get(name);
  if (command !== undefined && !args.includes('--help') && !args.includes('-h')) return command.run(args, io);
  if (command !== undefined) io.stdout.write(command.usage);
  else if (name === 'version' || name === '--version') io.stdout.write(`bastion-eif ${VERSION}\n`);
  else if (name === 'help' || name === '--help' || name === '-h') io.stdout.write(USAGE);
  else throw new Usage('USAGE', name === '' ? 'a command is missing' : 'there is no such command', 'see: bastion-eif --help');
  return 0;
}

/** Runs the command that these words name, to its end, and returns the exit code. */
export function runCommand(argv: readonly string[], io: CommandIo): number {
  const [name = '', ...args] = argv;
  try {
    return run(name, args, io);
  } catch (error) {
    if (!(error instanceof Usage) && !(error instanceof Unavailable)) throw error;
    io.stderr.write(`${COMMANDS.has(name) ? name : 'bastion-eif'}: error: ${error.message}\nhint: ${error.hint}\n`);
    return error instanceof Usage ? EXIT_USAGE : EXIT_UNABLE;
  }
}
