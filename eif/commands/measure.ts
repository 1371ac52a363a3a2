// SPDX-License-Identifier: Apache-2.0
/** `bastion-eif measure` and `describe`: what nitro-cli says about an image, without nitro-cli. */
import { equalBytes } from '../../shared/bytes.ts';
import { describeEif, describeMeasurements } from '../../shared/eif/describe.ts';
import type { Measurements } from '../../shared/eif/measure.ts';
import { measureEif, pcr3OfRole, pcr4OfInstance } from '../../shared/eif/measure.ts';
import type { Eif } from '../../shared/eif/read.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { describeCertificate, nodeSha384, parseCertificate, verifyEifSignature } from '../certificate.ts';
import { readImage } from '../files.ts';
import type { CommandIo, ExitCode } from './arguments.ts';
import { oneImage, readArguments } from './arguments.ts';

const MEASURE_HINT = 'usage: bastion-eif measure IMAGE [--role-arn ARN] [--instance-id ID]';
const DESCRIBE_HINT = 'usage: bastion-eif describe IMAGE';

export const MEASURE_USAGE = `usage: bastion-eif measure IMAGE [--role-arn ARN] [--instance-id ID]

Prints the measurements (PCRs) of an enclave image as JSON, as nitro-cli does when
it builds one: PCR0, PCR1, PCR2, and PCR8 if the image is signed. The image is
read strictly: one that two readers could see in two ways is refused.

  --role-arn ARN     adds PCR3 of an enclave whose parent instance has that IAM role
  --instance-id ID   adds PCR4 of an enclave whose parent is that instance (i-...)

Compare PCR0, PCR1 and PCR2 together: none of them alone fixes the whole image.

example: bastion-eif measure bastion.eif > measurements.json
`;

export const DESCRIBE_USAGE = `usage: bastion-eif describe IMAGE

Prints what "nitro-cli describe-eif" prints: version, measurements, signature,
checksum and metadata. The metadata is measured by no PCR: anyone can change it.
Exit code 1 if the checksum or the signature does not match.

example: bastion-eif describe bastion.eif
`;

/** The JSON of measurements, as the commands print it. */
export function measurementsJson(measurements: Measurements, more?: ReadonlyMap<string, Uint8Array>): string {
  return pretty(jsonObject({ Measurements: describeMeasurements(measurements, more) }));
}

function pretty(value: JsonObject): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** @throws Usage, Unavailable */
export function measure(args: readonly string[], io: CommandIo): ExitCode {
  const { words, options } = readArguments(args, ['role-arn', 'instance-id'], [], MEASURE_HINT);
  const more = new Map<string, Uint8Array>();
  const role = options.get('role-arn');
  const instance = options.get('instance-id');
  if (role !== undefined) {
    if (!/^arn:[!-~]+$/.test(role)) throw new Usage('USAGE', '--role-arn is not an ARN', 'for example: arn:aws:iam::123456789012:role/bastion');
    more.set('PCR3', pcr3OfRole(role));
  }
  if (instance !== undefined) {
    if (!/^i-[0-9a-f]+$/.test(instance)) throw new Usage('USAGE', '--instance-id is not an instance', 'for example: i-0123456789abcdef0');
    more.set('PCR4', pcr4OfInstance(instance));
  }
  io.stdout.write(measurementsJson(measureEif(readImage(oneImage(words, MEASURE_HINT)), nodeSha384), more));
  return 0;
}

function describeSignature(eif: Eif, measured: Measurements): Parameters<typeof describeEif>[2] {
  if (eif.signature === null) return null;
  const certificate = parseCertificate(eif.signature.certificateDer);
  if (certificate === undefined) {
    throw new Unavailable('FILE_UNREADABLE', 'the signing certificate in the image cannot be read', 'sign the image again');
  }
  const valid = verifyEifSignature(eif.signature, certificate) && equalBytes(eif.signature.pcr0, measured.pcr0);
  return { certificate: describeCertificate(certificate), valid };
}

/** @throws Usage, Unavailable */
export function describe(args: readonly string[], io: CommandIo): ExitCode {
  const { words } = readArguments(args, [], [], DESCRIBE_HINT);
  const eif = readImage(oneImage(words, DESCRIBE_HINT), { crc: 'report' });
  const measured = measureEif(eif, nodeSha384);
  const signature = describeSignature(eif, measured);
  io.stdout.write(pretty(describeEif(eif, measured, signature)));
  return eif.crcMatches && signature?.valid !== false ? 0 : 1;
}
