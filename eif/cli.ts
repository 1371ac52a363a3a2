// SPDX-License-Identifier: Apache-2.0
/** The entry of the `bastion-eif` command. */
import { runCommand } from './command.ts';

process.exit(runCommand(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, now: () => Date.now() }));
