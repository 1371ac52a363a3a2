// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion token`: makes the tokens by which clients of the HTTP listener show who they are. */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Usage } from '../../shared/errors.ts';
import { createToken, isTokenName, TOKEN_NAME_HINT } from '../front/bearer.ts';

export const TOKEN_USAGE = `usage: mcp-bastion token new --name NAME

Makes a bearer token for one client and prints it on standard output. It is shown
once and stored nowhere: the configuration holds its SHA-256 only.

  --name NAME   who will use it, as rows of the audit log will say: token:NAME;
                1 to 32 of a-z, 0-9, dot, _ and -

example: mcp-bastion token new --name ci
`;

export interface TokenIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

function parseName(args: readonly string[]): string {
  const hint = 'usage: mcp-bastion token new --name NAME';
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: true, options: { name: { type: 'string' } } });
  } catch {
    throw new Usage('USAGE', 'these arguments are not known', hint);
  }
  const { values, positionals } = parsed;
  if (positionals.length !== 1 || positionals[0] !== 'new') throw new Usage('USAGE', 'there is no such token command', hint);
  if (values.name === undefined) throw new Usage('USAGE', '--name is missing', hint);
  if (!isTokenName(values.name)) throw new Usage('USAGE', '--name is not a name', TOKEN_NAME_HINT);
  return values.name;
}

/**
 * Runs the command and returns its exit code. Standard output gets the token alone, so that it can go into a secret
 * store without being seen.
 *
 * @throws Usage for wrong arguments
 */
export async function tokenCommand(args: readonly string[], io: TokenIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(TOKEN_USAGE);
    return 0;
  }
  const name = parseName(args);
  const { token, sha256 } = createToken(randomBytes);
  io.stdout.write(`${token}\n`);
  // Quoted: a hash of digits only, or a name like "1", would be a number in YAML.
  io.stderr.write(`
The line above is the token. It is not shown again: give it to the client, which sends
  Authorization: Bearer TOKEN

Put its hash into bastion.yaml:

auth:
  tokens:
    - name: "${name}"
      sha256: "${sha256}"
`);
  return 0;
}
