// SPDX-License-Identifier: Apache-2.0
/** The command line of `bastion-verify-log`, read strictly: an option that is passed over would check nothing. */
import { parseArgs } from 'node:util';
import { Usage } from '../errors.ts';
import { parseTime } from './time.ts';

export interface LogOptions {
  readonly path: string;
  readonly trust: string | null;
  readonly receipts: string | null;
  readonly anchors: readonly string[];
  /** 0 for no claim. */
  readonly expectRows: number;
  /** Milliseconds since 1970, or the time now. */
  readonly at: number | 'now';
  readonly acceptUnpinned: boolean;
  readonly json: boolean;
}

export type LogCommand = { readonly kind: 'help' } | { readonly kind: 'version' } | { readonly kind: 'verify'; readonly options: LogOptions };

const SEE_HELP = 'see: bastion-verify-log --help';
const TEXTS = ['trust', 'receipts', 'expect-size', 'at', 'accept-unchecked'] as const;
const SWITCHES = ['json', 'help', 'version'] as const;

/** @throws Usage (USAGE) */
export function parseLogCommand(args: readonly string[]): LogCommand {
  const { values, positionals } = parseStrictly(args);
  for (const name of [...TEXTS, ...SWITCHES]) {
    if ((values[name]?.length ?? 0) > 1) throw new Usage('USAGE', `--${name} is given twice`, 'give it once');
  }
  if (values.help !== undefined) return { kind: 'help' };
  if (values.version !== undefined) return { kind: 'version' };
  const [path, ...more] = positionals;
  if (path === undefined || path === '') throw new Usage('USAGE', 'the path of a log is missing', SEE_HELP);
  if (more.length > 0) throw new Usage('USAGE', 'more than one path', 'name one directory above all logs, or call it once for each');
  const accepted = values['accept-unchecked']?.[0];
  if (accepted !== undefined && accepted !== 'key') throw new Usage('USAGE', '--accept-unchecked names something that has to be checked, or nothing known', 'choose from: key');
  const trust = values.trust?.[0] ?? null;
  if (trust !== null && accepted !== undefined) throw new Usage('USAGE', 'the key is checked by --trust and accepted as unchecked', 'leave one of them out');
  const options: LogOptions = {
    path,
    trust,
    receipts: values.receipts?.[0] ?? null,
    anchors: values.anchors ?? [],
    expectRows: parseRows(values['expect-size']?.[0]),
    at: parseTime(values.at?.[0] ?? 'now', 'give "now", or a time in UTC such as 2026-01-31T12:00:00Z'),
    acceptUnpinned: accepted !== undefined,
    json: values.json !== undefined,
  };
  return { kind: 'verify', options };
}

function parseStrictly(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        trust: { type: 'string', multiple: true },
        receipts: { type: 'string', multiple: true },
        anchors: { type: 'string', multiple: true },
        'expect-size': { type: 'string', multiple: true },
        at: { type: 'string', multiple: true },
        'accept-unchecked': { type: 'string', multiple: true },
        json: { type: 'boolean', multiple: true },
        help: { type: 'boolean', multiple: true },
        version: { type: 'boolean', multiple: true },
      },
    });
  } catch (error) {
    // The messages of parseArgs name options only; their advice is about other programs.
    throw new Usage('USAGE', error instanceof Error ? (error.message.split(/\. |\n/)[0] ?? 'bad options') : 'bad options', SEE_HELP);
  }
}

function parseRows(text: string | undefined): number {
  if (text === undefined) return 0;
  const rows = /^[1-9][0-9]{0,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(rows)) throw new Usage('USAGE', '--expect-size is no number of rows', 'give the rows that an earlier verification showed');
  return rows;
}
