// SPDX-License-Identifier: Apache-2.0
/** `bastion-eif sign`: signs an image here, or its PCR0 where the key is and the image there. */
import { equalBytes, fromHex } from '../../shared/bytes.ts';
import { measureEif } from '../../shared/eif/measure.ts';
import type { Eif } from '../../shared/eif/read.ts';
import { readEif } from '../../shared/eif/read.ts';
import { parseSignatureSection } from '../../shared/eif/signature.ts';
import { Usage } from '../../shared/errors.ts';
import { isValidAt, nodeSha384, parseCertificate, verifyEifSignature } from '../certificate.ts';
import { readImage, readInput, writeNew } from '../files.ts';
import { signPcr0 } from '../sign.ts';
import { withSignature } from '../write.ts';
import type { Arguments, CommandIo, ExitCode } from './arguments.ts';
import { oneImage, pcrHex, readArguments } from './arguments.ts';
import { measurementsJson } from './measure.ts';

const HINT = 'see: bastion-eif sign --help';

export const SIGN_USAGE = `usage: bastion-eif sign IMAGE --key KEY --certificate CERT --out SIGNED
       bastion-eif sign --pcr0 HEX --key KEY --certificate CERT --out SECTION
       bastion-eif sign IMAGE --section SECTION --out SIGNED

Signs an enclave image, or replaces its signature, and prints its measurements as
JSON. The signature adds PCR8 (the certificate) and changes no other PCR.
The second and third form are for a key on another machine: sign the PCR0 there,
attach the section here.

  --key KEY            EC key on P-256, P-384 or P-521, PEM, not encrypted
  --certificate CERT   the one certificate for that key, PEM; Nitro starts the image
                       only while it is valid
  --out FILE           must not exist yet

example: bastion-eif sign bastion.eif --key key.pem --certificate cert.pem --out signed.eif
`;

function required({ options }: Arguments, name: string): string {
  const value = options.get(name);
  if (value === undefined) throw new Usage('USAGE', `--${name} is missing`, HINT);
  return value;
}

function forbid({ options }: Arguments, names: readonly string[], other: string): void {
  const given = names.find((name) => options.has(name));
  if (given !== undefined) throw new Usage('USAGE', `--${given} does not go with ${other}`, HINT);
}

function sectionFor(pcr0: Uint8Array, given: Arguments, io: CommandIo): Uint8Array {
  const keyPem = readInput(required(given, 'key'), 'key');
  const certificatePem = readInput(required(given, 'certificate'), 'certificate');
  return signPcr0(pcr0, { keyPem, certificatePem }, io.now());
}

/** Why a section made elsewhere does not fit the image; undefined if it does. */
function mismatch(section: Uint8Array, pcr0: Uint8Array, now: number): string | undefined {
  const signature = parseSignatureSection(section);
  const certificate = signature === undefined ? undefined : parseCertificate(signature.certificateDer);
  if (signature === undefined || certificate === undefined) return 'the section is not a signature';
  if (!verifyEifSignature(signature, certificate)) return 'the key in the certificate did not make the signature';
  if (!equalBytes(signature.pcr0, pcr0)) return 'the signature is over the PCR0 of another image';
  return isValidAt(certificate, now) ? undefined : 'the certificate is not valid now';
}

function finish(eif: Eif, section: Uint8Array, out: string, io: CommandIo): ExitCode {
  const file = withSignature(eif, section);
  const signed = readEif(file);
  if (signed.kind === 'malformed') throw new RangeError('the writer reads its own output');
  writeNew(out, file);
  io.stdout.write(measurementsJson(measureEif(signed, nodeSha384)));
  return 0;
}

/** @throws Usage, Unavailable */
export function sign(args: readonly string[], io: CommandIo): ExitCode {
  const given = readArguments(args, ['key', 'certificate', 'out', 'pcr0', 'section'], [], HINT);
  const out = required(given, 'out');
  const pcr0Text = given.options.get('pcr0');
  const sectionPath = given.options.get('section');
  if (pcr0Text !== undefined) {
    forbid(given, ['section'], '--pcr0');
    if (given.words.length > 0) throw new Usage('USAGE', 'an image does not go with --pcr0', HINT);
    writeNew(out, sectionFor(fromHex(pcrHex(pcr0Text, '--pcr0')) ?? new Uint8Array(), given, io));
    return 0;
  }
  if (sectionPath !== undefined) forbid(given, ['key', 'certificate'], '--section');
  const eif = readImage(oneImage(given.words, HINT));
  const { pcr0 } = measureEif(eif, nodeSha384);
  if (sectionPath === undefined) return finish(eif, sectionFor(pcr0, given, io), out, io);
  const section = readInput(sectionPath, 'section');
  const wrong = mismatch(section, pcr0, io.now());
  if (wrong === undefined) return finish(eif, section, out, io);
  io.stderr.write(`sign: error: ${wrong}\nhint: sign the PCR0 that "bastion-eif measure" prints for this image\n`);
  return 1;
}
