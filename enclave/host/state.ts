// SPDX-License-Identifier: Apache-2.0
/** Where local mode keeps what it has to remember: logs, lock files, known keys. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `MCP_BASTION_STATE`, else the platform's place for application state. */
export function defaultStateDir(env: NodeJS.ProcessEnv): string {
  const chosen = env['MCP_BASTION_STATE'];
  if (chosen !== undefined && chosen !== '') return chosen;
  const home = homedir();
  if (process.platform === 'darwin') return join(home, 'Library', 'Application Support', 'mcp-bastion');
  if (process.platform === 'win32') return join(env['LOCALAPPDATA'] || join(home, 'AppData', 'Local'), 'mcp-bastion');
  return join(env['XDG_STATE_HOME'] || join(home, '.local', 'state'), 'mcp-bastion');
}
