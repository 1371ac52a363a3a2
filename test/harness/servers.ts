// SPDX-License-Identifier: Apache-2.0
/** Commands of the real servers that tests run, from the pinned packages. */
import { join } from 'node:path';
import { root } from './gateway.ts';

const scope = join(root, 'node_modules', '@modelcontextprotocol');

export function everything(): string[] {
  return [process.execPath, join(scope, 'server-everything', 'dist', 'index.js'), 'stdio'];
}

export function filesystem(folder: string): string[] {
  return [process.execPath, join(scope, 'server-filesystem', 'dist', 'index.js'), folder];
}

export function memory(): string[] {
  return [process.execPath, join(scope, 'server-memory', 'dist', 'index.js')];
}

/** The same server with a note of every line that reaches it. */
export function witnessed(server: readonly string[]): string[] {
  return [process.execPath, join(root, 'test', 'peers', 'tee.ts'), ...server];
}
