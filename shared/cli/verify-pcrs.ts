// SPDX-License-Identifier: Apache-2.0
/**
 * What `bastion-verify-pcrs` does, for saved documents. Standard output is data, standard error is talk; exit codes: 0
 * verified, 1 does not match, 2 usage, 3 could not check.
 */
import type { BootDigests } from '../attestation/pcr.ts';
import { sha384 } from '../attestation/pcr.ts';
import type { TrustedRoot } from '../attestation/root.ts';
import { AWS_NITRO_ROOT_G1, chosenRoot } from '../attestation/root.ts';
import type { AttestationTrust } from '../attestation/trust.ts';
import { readAttestationTrust } from '../attestation/trust.ts';
import { verifyAttestation } from '../attestation/verify.ts';
import { Unavailable, Usage } from '../errors.ts';
import { ATTESTATION_BYTES_MAX, ATTESTATION_TRUST_BYTES_MAX, BOOT_DOCUMENT_BYTES_MAX, CERTIFICATE_BYTES_MAX } from '../limits.ts';
import { VERSION } from '../version.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { certificateFromPem } from '../x509/pem.ts';
import { readFile } from './files.ts';
import type { Options } from './options.ts';
import { parseCommand } from './options.ts';
import { exitOf, reportAsJson, reportAsText } from './report.ts';
import { USAGE } from './usage.ts';

const NAME = 'bastion-verify-pcrs';
const EXIT_USAGE = 2;
/** Could not check. */
export const EXIT_UNABLE = 3;
/** PEM is a third longer than DER, with two lines around it. */
const ROOT_FILE_BYTES_MAX: number = CERTIFICATE_BYTES_MAX * 2;

export interface VerifyIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Milliseconds since 1970. */
  now(): number;
}

function readTrust(path: string): AttestationTrust {
  const read = readAttestationTrust(readFile(path, 'trust', ATTESTATION_TRUST_BYTES_MAX));
  if (!read.ok) throw new Usage('USAGE', `the trust file is wrong: ${read.reason}`, 'it holds "version": 1, and "pcrs" or "documents" or both');
  return read.trust;
}

function readRoot(path: string): TrustedRoot {
  const bytes = readFile(path, 'root', ROOT_FILE_BYTES_MAX);
  const der = certificateFromPem(new TextDecoder().decode(bytes)) ?? bytes;
  const parsed = parseCertificate(der);
  if (!parsed.ok) throw new Usage('USAGE', `the root is no certificate that could be one: ${parsed.reason}`, 'give one certificate in DER or PEM, with a P-384 key');
  return chosenRoot(parsed.certificate.der);
}

async function readBoot(boot: NonNullable<Options['boot']>): Promise<BootDigests> {
  const digest = (option: 'config' | 'policy' | 'pins'): Promise<Uint8Array> => sha384(readFile(boot[option], option, BOOT_DOCUMENT_BYTES_MAX));
  return { config: await digest('config'), policy: await digest('policy'), pins: await digest('pins') };
}

async function verify(options: Options, io: VerifyIo): Promise<number> {
  const bytes = readFile(options.document, 'document', ATTESTATION_BYTES_MAX);
  const trust = options.trust === null ? null : readTrust(options.trust);
  if (options.boot !== null && trust !== null && trust.documents !== null) {
    throw new Usage('USAGE', 'the trust file names documents already', 'leave out --config, --policy and --pins, or "documents" there');
  }
  const atMs = options.at === 'now' ? io.now() : options.at;
  const report = await verifyAttestation(bytes, {
    at: { ms: atMs, source: options.at === 'now' ? 'clock' : 'chosen' },
    root: options.root === null ? AWS_NITRO_ROOT_G1 : readRoot(options.root),
    expect: {
      pcrs: options.pcrs ?? trust?.pcrs ?? null,
      documents: options.boot === null ? (trust?.documents ?? null) : await readBoot(options.boot),
      nonce: options.nonce,
      channelSha256: null,
      allowDebug: options.allowDebug,
      allowFlags: options.allowFlags,
      acceptUnchecked: options.acceptUnchecked,
    },
  });
  io.stdout.write(options.json ? reportAsJson(report, atMs) : reportAsText(report));
  return exitOf(report.verdict);
}

/** Runs the command and returns its exit code. */
export async function verifyPcrs(args: readonly string[], io: VerifyIo): Promise<number> {
  try {
    const command = parseCommand(args);
    if (command.kind === 'verify') return await verify(command.options, io);
    io.stdout.write(command.kind === 'help' ? USAGE : `${NAME} ${VERSION}\n`);
    return 0;
  } catch (error) {
    if (error instanceof Usage || error instanceof Unavailable) {
      io.stderr.write(`${NAME}: error: ${error.message}\nhint: ${error.hint}\n`);
      return error instanceof Usage ? EXIT_USAGE : EXIT_UNABLE;
    }
    // A bug of ours must not end in 1, which Node would give it and which says that something does not match.
    io.stderr.write(`${NAME}: error: the verifier failed\nhint: please report this\n${error instanceof Error ? (error.stack ?? '') : ''}\n`);
    return EXIT_UNABLE;
  }
}
