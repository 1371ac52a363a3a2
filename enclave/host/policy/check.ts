// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion policy check`: every mistake of a policy, and what is valid but may not be meant. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { wireJson } from '../../../shared/json/canonical.ts';
import { jsonObject } from '../../../shared/json/value.ts';
import { readPolicy } from '../../policy/document.ts';
import { warnings } from '../../policy/warnings.ts';
import { visible } from '../../../shared/cli/visible.ts';
import type { PolicyIo } from './replay-command.ts';

/** Runs the command and returns its exit code: 0 valid, 1 with --strict and warnings. Throws Usage (POLICY_INVALID). */
export async function policyCheck(args: readonly string[], io: PolicyIo): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: true, options: { strict: { type: 'boolean' }, json: { type: 'boolean' } } });
  } catch (error) {
    throw new Usage('USAGE', error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options', 'see: mcp-bastion policy --help');
  }
  const { values, positionals } = parsed;
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new Usage('USAGE', 'name one policy', 'for example: mcp-bastion policy check policy.yaml');
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new Unavailable('FILE_UNREADABLE', 'the policy file cannot be read', 'check the path and its permissions', error);
  }
  const { document, yaml } = readPolicy(bytes, file);
  const found = warnings(document)
    .map(({ path, problem, hint }) => ({ ...yaml.keyAt(path), problem, hint }))
    .sort((left, right) => left.line - right.line || left.column - right.column);
  if (values.json === true) io.stdout.write(`${wireJson(jsonObject({ schema: 'mcp-bastion/policy-check/1', valid: true, warnings: found.map((one) => jsonObject({ ...one })) }))}\n`);
  else {
    for (const { line, column, problem, hint } of found) io.stdout.write(`${visible(`${file}:${line}:${column}: warning: ${problem}`)}\nhint: ${hint}\n`);
    io.stdout.write(`${visible(file)}: valid${found.length === 0 ? '' : `, ${found.length} warning${found.length === 1 ? '' : 's'}`}\n`);
  }
  return values.strict === true && found.length > 0 ? 1 : 0;
}
