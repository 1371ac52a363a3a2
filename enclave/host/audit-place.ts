// SPDX-License-Identifier: Apache-2.0
/** Where a policy puts its audit key and its logs, for the gateway and for the commands that look after them. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { CONFIG_BYTES_MAX, POLICY_BYTES_MAX } from '../../shared/limits.ts';
import type { KeySource } from '../audit/custody.ts';
import { logsRoot } from '../audit/slots.ts';
import { readStateFile } from '../audit/state-file.ts';
import { findLogs } from '../audit/walk.ts';
import type { Keeping } from '../audit/wire.ts';
import { parseConfig } from '../config/document.ts';
import { parsePolicy } from '../policy/document.ts';
import type { AuditSettings } from '../policy/types.ts';

/** @param folder of the policy: paths in it are relative to it */
export function keySource(audit: AuditSettings, folder: string): KeySource {
  switch (audit.key) {
    case 'ephemeral':
      return { kind: 'ephemeral' };
    case 'file':
      if (audit.keyFile === null) throw new TypeError('a key file has a path');
      return { kind: 'file', path: resolve(folder, audit.keyFile) };
    case 'keychain':
    case 'systemd-credential':
      return { kind: audit.key, name: audit.keyName };
  }
}

const DAY_MS = 86_400_000;

/** When segments end, and how long they are kept. */
export function keepingOf(audit: AuditSettings): Keeping {
  return {
    segmentBytes: audit.segmentMegabytes * 1024 * 1024,
    segmentMs: audit.segmentDays * DAY_MS,
    keepMs: audit.legalHold ? null : audit.keepDays * DAY_MS,
  };
}

/** What a policy says of its log. */
export interface AuditPlace {
  readonly audit: AuditSettings;
  readonly key: KeySource;
  /** Directories that hold logs now. */
  readonly dirs: readonly string[];
}

/**
 * Reads where the key and the logs are.
 * @throws Usage for a policy with errors, Unavailable FILE_UNREADABLE
 */
export function readAuditPlace(policyPath: string, stateDir: string): AuditPlace {
  const { audit } = parsePolicy(readBytes(policyPath, POLICY_BYTES_MAX, 'the policy'), policyPath);
  const folder = dirname(resolve(policyPath));
  const roots = [logsRoot(stateDir), ...(audit.path === null ? [] : [resolve(folder, audit.path)])];
  const dirs = new Set(roots.filter((root) => existsSync(root)).flatMap((root) => findLogs(root).map((log) => resolve(log.dir))));
  return { audit, key: keySource(audit, folder), dirs: [...dirs] };
}

/** The policy that `--policy` or `--config` names. */
export function policyPathOf(values: { readonly policy?: string | undefined; readonly config?: string | undefined }, command: string): string {
  const see = `see: mcp-bastion ${command} --help`;
  if (values.policy !== undefined && values.config !== undefined) throw new Usage('USAGE', '--config names the policy: leave --policy out', see);
  if (values.policy !== undefined) return values.policy;
  if (values.config === undefined) throw new Usage('USAGE', '--policy is missing', 'name the policy of the gateway, or its configuration with --config');
  return parseConfig(readBytes(values.config, CONFIG_BYTES_MAX, 'the configuration'), values.config).policyPath;
}

function readBytes(path: string, bytesMax: number, what: string): Uint8Array {
  try {
    const bytes = readStateFile(path, bytesMax);
    if (bytes !== null) return bytes;
  } catch (error) {
    throw new Unavailable('FILE_UNREADABLE', `${what} cannot be read`, 'check the path and its permissions', error);
  }
  throw new Unavailable('FILE_UNREADABLE', `${what} is not there`, 'check the path');
}

/** Parses options of a command; what is wrong with them comes out as Usage. */
export function parseCommand<T extends Record<string, { readonly type: 'string' | 'boolean'; readonly short?: string }>>(args: readonly string[], options: T, command: string): ReturnType<typeof parseArgs<{ args: string[]; allowPositionals: true; options: T }>> {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options });
  } catch (error) {
    throw new Usage('USAGE', error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options', `see: mcp-bastion ${command} --help`);
  }
}
