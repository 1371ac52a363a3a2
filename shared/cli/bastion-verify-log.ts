// SPDX-License-Identifier: Apache-2.0
/** The process of `bastion-verify-log`. */
import { EXIT_UNABLE, verifyLogCommand } from './verify-log.ts';

// Nobody reads the verdict any more; that is no verdict.
process.stdout.on('error', () => process.exit(EXIT_UNABLE));
// Not process.exit: what was written to a pipe may still be on its way.
process.exitCode = await verifyLogCommand(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, now: () => Date.now() });
