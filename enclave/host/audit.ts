// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion audit`: what is done with a log beside writing and showing it. */
import { Usage } from '../../shared/errors.ts';

export const AUDIT_USAGE = `usage: mcp-bastion audit COMMAND [options]

  prove    write the proof of one row
  bundle   write evidence for somebody who does not have the log
  verify   check a proof or a bundle
  open     show sealed payloads, with a reader's identity
  reader   make the keys of somebody who may read sealed payloads
  erase    take the payload of one row away, for good
  recover  let a log go on that lost rows, after a person accepted the loss

"mcp-bastion audit COMMAND --help" says more.
`;

export interface AuditIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Milliseconds since 1970. */
  now(): number;
}

/**
 * Runs the command and returns its exit code.
 * @throws Usage, Unavailable
 */
export async function auditCommand(args: readonly string[], io: AuditIo): Promise<number> {
  const [command = '', ...rest] = args;
  switch (command) {
    case 'prove':
    case 'bundle':
    case 'verify': {
      const evidence = await import('./audit/command.ts');
      return evidence.auditCommand([...args], io);
    }
    case 'open': {
      const { openCommand } = await import('./audit-open.ts');
      return openCommand(rest, io);
    }
    case 'reader': {
      const { readerCommand } = await import('./audit-reader.ts');
      return readerCommand(rest, io);
    }
    case 'erase': {
      const { eraseCommand } = await import('./audit-erase.ts');
      return eraseCommand(rest, io);
    }
    case 'recover': {
      const { recoverCommand } = await import('./audit-recover.ts');
      return recoverCommand(rest, io);
    }
    case '--help':
    case '-h':
      io.stdout.write(AUDIT_USAGE);
      return 0;
    default:
      throw new Usage('USAGE', command === '' ? 'a command is missing' : 'there is no such audit command', 'see: mcp-bastion audit --help');
  }
}
