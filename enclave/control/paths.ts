// SPDX-License-Identifier: Apache-2.0
/**
 * Where gateways of local mode can be reached: one Unix socket each, in a folder of the state folder that only its owner
 * can enter. A socket is named after its process, so that those of processes that ended can be told.
 */
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Unavailable } from '../../shared/errors.ts';
import { CONTROL_SOCKETS_MAX, SOCKET_PATH_BYTES_MAX } from '../../shared/limits.ts';

const SOCKET = /^([1-9][0-9]{0,9})-[0-9a-f]{8}\.sock$/;
/** Bytes of sun_path on macOS are 104 with the end, on Linux 108. */
const PATH_BYTES_MAX: number = process.platform === 'darwin' ? SOCKET_PATH_BYTES_MAX - 4 : SOCKET_PATH_BYTES_MAX;

export function controlFolder(stateDir: string): string {
  return join(stateDir, 'control');
}

function unusable(what: string, hint: string, cause?: unknown): Unavailable {
  return new Unavailable('LISTEN_FAILED', what, hint, cause);
}

/** @throws Unavailable LISTEN_FAILED for a path that the system would cut or refuse */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > PATH_BYTES_MAX) throw unusable(`the path of the control socket has ${bytes} bytes, ${PATH_BYTES_MAX} are possible`, 'choose a shorter state folder with --state or MCP_BASTION_STATE');
}

/**
 * Makes the folder and gives a new name in it.
 * @throws Unavailable LISTEN_FAILED for a folder that others can enter, or a path that is too long
 */
export function newSocketPath(stateDir: string, pid: number, randomHex: (bytes: number) => string): string {
  const folder = controlFolder(stateDir);
  const path = join(folder, `${pid}-${randomHex(4)}.sock`);
  checkSocketPath(path);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable('the folder for control sockets cannot be made', 'mend the owner and mode of the state folder', error);
  }
  const stat = lstatSync(folder);
  const isOwn = process.geteuid === undefined || process.geteuid() === stat.uid;
  if (!stat.isDirectory() || !isOwn || (process.platform !== 'win32' && (stat.mode & 0o077) !== 0)) {
    throw unusable(`${folder} is no folder that is yours alone`, 'make it yours, with mode 0700');
  }
  return path;
}

/** The sockets of a state folder; those of processes that ended may be among them. */
export function findSockets(stateDir: string): string[] {
  const folder = controlFolder(stateDir);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw new Unavailable('GATEWAY_UNREACHABLE', `${folder} cannot be read`, 'check the state folder: --state or MCP_BASTION_STATE', error);
  }
  return names.filter((name) => SOCKET.test(name)).sort().slice(0, CONTROL_SOCKETS_MAX).map((name) => join(folder, name));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', (error) => resolve('code' in error && error.code === 'ECONNREFUSED'));
  });
}

/**
 * Removes what processes left that were ended outright. Both has to be so: a process of another container has no process
 * here, and a socket refuses connections for a moment while it is made.
 */
export async function removeStale(stateDir: string): Promise<void> {
  for (const path of findSockets(stateDir)) {
    const pid = Number(SOCKET.exec(path.slice(controlFolder(stateDir).length + 1))?.[1]);
    if (!isRunning(pid) && (await isRefused(path))) rmSync(path, { force: true });
  }
}
