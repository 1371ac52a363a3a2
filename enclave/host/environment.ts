// SPDX-License-Identifier: Apache-2.0
/** The environment that a stdio server gets: what programs need to run at all, and what was named on purpose. */
import { Usage } from '../../shared/errors.ts';

/** The same short list that the MCP SDKs pass on, and the locale. */
const ALWAYS: readonly string[] =
  process.platform === 'win32'
    ? ['APPDATA', 'HOMEDRIVE', 'HOMEPATH', 'LOCALAPPDATA', 'PATH', 'PROCESSOR_ARCHITECTURE', 'SYSTEMDRIVE', 'SYSTEMROOT', 'TEMP', 'USERNAME', 'USERPROFILE']
    : ['HOME', 'LANG', 'LC_ALL', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'TMPDIR', 'TZ', 'USER'];

/**
 * @param requested `NAME` passes a variable on, `NAME=VALUE` sets it
 * @throws Usage for a name that is not set or not a name
 */
export function childEnvironment(own: NodeJS.ProcessEnv, requested: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of ALWAYS) {
    const value = own[name];
    if (value !== undefined && !value.startsWith('()')) env[name] = value;
  }
  for (const request of requested) {
    const at = request.indexOf('=');
    const name = at === -1 ? request : request.slice(0, at);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new Usage('USAGE', '--env wants NAME or NAME=VALUE', 'for example: --env GITHUB_TOKEN');
    }
    const value = at === -1 ? own[name] : request.slice(at + 1);
    if (value === undefined) {
      throw new Usage('USAGE', `--env ${name}: the variable is not set`, 'set it where the gateway is started, or use --env NAME=VALUE');
    }
    env[name] = value;
  }
  return env;
}
