// SPDX-License-Identifier: Apache-2.0
/** `bastion-eif verify`: one line for each check, then the verdict. */
import { toHex } from '../../shared/bytes.ts';
import { pcr8OfCertificate } from '../../shared/eif/measure.ts';
import { certificateOfPem } from '../../shared/eif/signature.ts';
import { Usage } from '../../shared/errors.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { parseCertificate } from '../certificate.ts';
import { readImageBytes, readInput } from '../files.ts';
import type { Check, CheckName, Expected, Verification } from '../verify.ts';
import { verifyEif } from '../verify.ts';
import type { Arguments, CommandIo, ExitCode } from './arguments.ts';
import { oneImage, pcrHex, readArguments } from './arguments.ts';

const HINT = 'see: bastion-eif verify --help';

export const VERIFY_USAGE = `usage: bastion-eif verify IMAGE [what is expected] [--json]

Checks an enclave image: its form, its measurements, its signature.

  --measurements FILE       expected PCRs, as "bastion-eif measure" or nitro-cli prints
                            them
  --pcr0 HEX, --pcr1 HEX, --pcr2 HEX, --pcr8 HEX
                            the same, one by one
  --certificate CERT        the certificate (PEM) that has to have signed the image
  --at TIME                 when the certificate has to be valid, such as
                            2026-01-02T03:04:05Z; now if left out
  --accept-unchecked LIST   of pcr0, pcr1, pcr2, signer: may stay unchecked
  --json                    the result as JSON (schema mcp-bastion/eif-verify/1)

Exit codes: 0 all checked and as expected, 1 does not match, 2 usage, 3 could not
check, or something was left unchecked and not accepted.
A signature covers PCR0 only, and the metadata is covered by nothing.

example: bastion-eif verify bastion.eif --measurements measurements.json
`;

const EXIT: Readonly<Record<Verification['verdict'], ExitCode>> = { ok: 0, mismatch: 1, incomplete: 3 };
const PCRS = ['pcr0', 'pcr1', 'pcr2', 'pcr8'] as const;
const ACCEPTABLE: ReadonlyMap<string, CheckName> = new Map([
  ['pcr0', 'pcr0'],
  ['pcr1', 'pcr1'],
  ['pcr2', 'pcr2'],
  ['signer', 'signer'],
]);

type Pcrs = Map<(typeof PCRS)[number], string>;

function setPcr(pcrs: Pcrs, name: (typeof PCRS)[number], value: string): void {
  const known = pcrs.get(name);
  if (known !== undefined && known !== value) throw new Usage('USAGE', `two values are expected of ${name}`, HINT);
  pcrs.set(name, value);
}

function addMeasurements(pcrs: Pcrs, path: string): void {
  const parsed = parseStrictJson(readInput(path, 'list of measurements'));
  const hint = 'give the JSON that "bastion-eif measure" prints';
  const top: JsonObject | undefined = parsed.ok && isJsonObject(parsed.value) ? parsed.value : undefined;
  const values = top?.['Measurements'] ?? top;
  if (!isJsonObject(values)) throw new Usage('USAGE', '--measurements is not a list of measurements', hint);
  let found = 0;
  for (const [key, value] of Object.entries(values)) {
    if (!/^PCR/i.test(key)) continue;
    const name = PCRS.find((pcr) => pcr.toUpperCase() === key);
    // Passing over a PCR that was written down as expected would look like having checked it.
    if (name === undefined || typeof value !== 'string') throw new Usage('USAGE', '--measurements holds a PCR that no image has', 'leave PCR0, PCR1, PCR2 and PCR8');
    setPcr(pcrs, name, pcrHex(value, key));
    found += 1;
  }
  if (found === 0) throw new Usage('USAGE', '--measurements holds no PCR', hint);
}

function expectedOf({ options }: Arguments): Expected {
  const pcrs: Pcrs = new Map();
  const file = options.get('measurements');
  if (file !== undefined) addMeasurements(pcrs, file);
  for (const name of PCRS) {
    const text = options.get(name);
    if (text !== undefined) setPcr(pcrs, name, pcrHex(text, `--${name}`));
  }
  const certificatePath = options.get('certificate');
  if (certificatePath !== undefined) {
    const certificateDer = certificateOfPem(readInput(certificatePath, 'certificate'));
    if (certificateDer === undefined || parseCertificate(certificateDer) === undefined) {
      throw new Usage('USAGE', '--certificate does not hold exactly one certificate in PEM', HINT);
    }
    setPcr(pcrs, 'pcr8', toHex(pcr8OfCertificate(certificateDer)));
  }
  return { pcr0: pcrs.get('pcr0'), pcr1: pcrs.get('pcr1'), pcr2: pcrs.get('pcr2'), pcr8: pcrs.get('pcr8') };
}

function acceptedOf({ options }: Arguments): Set<CheckName> {
  const accepted = new Set<CheckName>();
  const list = options.get('accept-unchecked');
  for (const word of list === undefined ? [] : list.split(',')) {
    const name = ACCEPTABLE.get(word);
    if (name === undefined) throw new Usage('USAGE', '--accept-unchecked names no such check', 'of pcr0, pcr1, pcr2, signer, with commas');
    accepted.add(name);
  }
  return accepted;
}

function timeOf({ options }: Arguments, now: number): number {
  const text = options.get('at');
  if (text === undefined) return now;
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new Usage('USAGE', '--at is not a time', 'for example: --at 2026-01-02T03:04:05Z');
  return time;
}

const MARKS: Readonly<Record<Check['result'], string>> = { ok: 'ok  ', fail: 'FAIL', unchecked: '-   ' };

function showCheck({ name, result, detail, expected, actual }: Check): string {
  const line = `${MARKS[result]}  ${name.padEnd(16)}  ${result === 'unchecked' ? 'not checked: ' : ''}${detail}\n`;
  return result === 'fail' && expected !== null ? `${line}      expected ${expected}\n      actual   ${actual ?? ''}\n` : line;
}

function showVerdict({ verdict, checks }: Verification): string {
  const named = (result: Check['result']): string => checks.filter((check) => check.result === result).map(({ name }) => name).join(', ');
  switch (verdict) {
    case 'ok': {
      const left = named('unchecked');
      return left === '' ? 'verdict: the image is as expected\n' : `verdict: as expected as far as checked; accepted unchecked: ${left}\n`;
    }
    case 'mismatch':
      return `verdict: the image does not match (${named('fail')})\n`;
    case 'incomplete':
      return `verdict: not verified, for want of ${named('unchecked')}\n`;
  }
}

/** @throws Usage, Unavailable */
export function verify(args: readonly string[], io: CommandIo): ExitCode {
  const names = ['measurements', ...PCRS, 'certificate', 'at', 'accept-unchecked'];
  const given = readArguments(args, names, ['json'], HINT);
  const path = oneImage(given.words, HINT);
  const options = { expected: expectedOf(given), accept: acceptedOf(given), at: timeOf(given, io.now()) };
  const result = verifyEif(readImageBytes(path), options);
  if (given.flags.has('json')) {
    const { verdict, checks } = result;
    io.stdout.write(`${JSON.stringify({ schema: 'mcp-bastion/eif-verify/1', verdict, checks, not_covered: ['metadata'] }, null, 2)}\n`);
  } else {
    io.stdout.write(`${result.checks.map(showCheck).join('')}${showVerdict(result)}not covered by any of it: the metadata\n`);
  }
  return EXIT[result.verdict];
}
