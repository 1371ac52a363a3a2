// SPDX-License-Identifier: Apache-2.0
/** `bastion-eif diff`: what two images differ in, down to the paths in their ramdisks. */
import { Usage } from '../../shared/errors.ts';
import type { EifDifference, PathDifference, SectionDifference } from '../diff.ts';
import { diffEifs } from '../diff.ts';
import { readImage } from '../files.ts';
import type { ManifestLine } from '../manifest.ts';
import type { CommandIo, ExitCode } from './arguments.ts';
import { readArguments } from './arguments.ts';

const HINT = 'usage: bastion-eif diff FIRST SECOND [--json]';

export const DIFF_USAGE = `usage: bastion-eif diff FIRST SECOND [--json]

Shows what two enclave images differ in: which section, which path of which
ramdisk, and which PCRs. Ramdisks may be plain or gzipped cpio archives.

  --json   the result as JSON (schema mcp-bastion/eif-diff/1)

Exit codes: 0 the same bytes, 1 they differ, 2 usage, 3 could not compare.

example: bastion-eif diff released.eif rebuilt.eif
`;

function showLine(line: ManifestLine): string {
  const what = line.kind === 'file' ? `${line.size} bytes, sha256 ${line.sha256}` : JSON.stringify(line.target ?? '');
  return line.kind === 'directory' ? `directory ${line.mode}` : `${line.kind} ${line.mode} ${what}`;
}

/** Paths are attacker-controlled: as JSON strings they cannot move the cursor of a terminal. */
function showPath({ path, left, right }: PathDifference): string {
  const name = JSON.stringify(path);
  if (left === null) return `  added    ${name}\n${right === null ? '' : `           ${showLine(right)}\n`}`;
  if (right === null) return `  removed  ${name}\n           ${showLine(left)}\n`;
  return `  changed  ${name}\n           ${showLine(left)}\n           ${showLine(right)}\n`;
}

function showSection({ section, index, left, right, paths, note }: SectionDifference): string {
  const name = section === 'ramdisk' ? `ramdisk ${index}` : section;
  const lines = [`${name}:${note === null ? '' : ` ${note}`}`, `  first    ${left ?? 'has none'}`, `  second   ${right ?? 'has none'}`];
  return `${lines.join('\n')}\n${(paths ?? []).map(showPath).join('')}`;
}

function show({ sections, pcrs }: EifDifference): string {
  if (sections.length === 0) return 'the images are the same\n';
  return `${sections.map(showSection).join('')}PCRs that differ: ${pcrs.length === 0 ? 'none' : pcrs.join(', ')}\n`;
}

/** @throws Usage, Unavailable */
export function diff(args: readonly string[], io: CommandIo): ExitCode {
  const { words, flags } = readArguments(args, [], ['json'], HINT);
  const [first, second, ...more] = words;
  if (first === undefined || second === undefined || more.length > 0) throw new Usage('USAGE', 'this wants two images', HINT);
  const found = diffEifs(readImage(first), readImage(second));
  const json = (): string => `${JSON.stringify({ schema: 'mcp-bastion/eif-diff/1', same: found.sections.length === 0, ...found }, null, 2)}\n`;
  io.stdout.write(flags.has('json') ? json() : show(found));
  return found.sections.length === 0 ? 0 : 1;
}
