// SPDX-License-Identifier: Apache-2.0
/** Small images, and signers for them: a key and its self-made certificate, without a tool outside of Node. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { concatBytes, toHex, utf8 } from '../../shared/bytes.ts';
import type { EifMetadata } from '../../shared/eif/metadata.ts';
import { FIXED_BUILD_TIME } from '../../shared/eif/metadata.ts';
import type { Eif } from '../../shared/eif/read.ts';
import { readEif } from '../../shared/eif/read.ts';
import { writeCpio } from '../../eif/cpio.ts';
import type { EifParts } from '../../eif/write.ts';
import { writeEif } from '../../eif/write.ts';
import type { Signer } from '../../eif/sign.ts';

export const METADATA: EifMetadata = {
  imageName: 'bastion',
  imageVersion: '0.1.0',
  buildTime: FIXED_BUILD_TIME,
  buildTool: 'bastion-eif',
  buildToolVersion: '0.1.0',
  operatingSystem: 'Linux',
  kernelVersion: '6.12.95',
  dockerInfo: null,
  customMetadata: null,
};

const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));

/** A ramdisk with an init. */
export function bootRamdisk(init = '#!/bin/true\n'): Uint8Array {
  return writeCpio([
    { kind: 'directory', path: 'dev', mode: 0o755 },
    { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'file', path: 'init', mode: 0o755, data: text(init) },
  ]);
}

export function partsOf(change: Partial<EifParts> = {}): EifParts {
  const app = writeCpio([{ kind: 'file', path: 'app', mode: 0o644, data: text('app') }]);
  return { arch: 'x86_64', kernel: text('kernel'), cmdline: 'reboot=k console=ttyS0', metadata: METADATA, ramdisks: [bootRamdisk(), app], ...change };
}

export function imageOf(change: Partial<EifParts> = {}): Uint8Array {
  return writeEif(partsOf(change));
}

export function readOf(bytes: Uint8Array): Eif {
  const eif = readEif(bytes);
  if (eif.kind === 'malformed') throw new Error(`${eif.code} at ${eif.at}: ${eif.message}`);
  return eif;
}

/** The file with its checksum put right again, after a change. Bit by bit, unlike the product. */
export function withCrc(bytes: Uint8Array): Uint8Array {
  const file = Uint8Array.from(bytes);
  let crc = 0xffffffff;
  for (const [at, byte] of file.entries()) {
    if (at >= 544 && at < 548) continue;
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  if (file.length >= 548) new DataView(file.buffer).setUint32(544, (crc ^ 0xffffffff) >>> 0);
  return file;
}

function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.of(tag, ...head), content);
}

const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(0x30, ...parts);
const ECDSA_WITH_SHA384 = sequence(der(0x06, Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03)));

function namePart(oid: readonly number[], value: string): Uint8Array {
  return der(0x31, sequence(der(0x06, Uint8Array.from(oid)), der(0x0c, utf8(value))));
}

/** GeneralizedTime, also before 2050: OpenSSL reads both. */
function time(at: string): Uint8Array {
  return der(0x18, utf8(`${at.replace(/[-:T]/g, '').replace(/\.\d+Z$|Z$/, '')}Z`));
}

export type Curve = 'P-256' | 'P-384' | 'P-521';

export interface SignerOptions {
  readonly curve?: Curve;
  readonly from?: string;
  readonly to?: string;
  readonly name?: string;
}

/** A signer with a new key; its certificate is for C=DE, CN=name, signed by that key with ECDSA and SHA-384. */
export function newSigner(options: SignerOptions = {}): Signer {
  const { curve = 'P-384', from = '2020-01-01T00:00:00Z', to = '2090-01-01T00:00:00Z', name = 'release' } = options;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
  const issuer = sequence(namePart([0x55, 0x04, 0x06], 'DE'), namePart([0x55, 0x04, 0x03], name));
  const body = sequence(
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, Uint8Array.of(1)),
    ECDSA_WITH_SHA384,
    issuer,
    sequence(time(from), time(to)),
    issuer,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = sign('sha384', body, privateKey);
  const certificate = sequence(body, ECDSA_WITH_SHA384, der(0x03, Uint8Array.of(0), signature));
  const lines = Buffer.from(certificate).toString('base64').match(/.{1,64}/g) ?? [];
  return {
    keyPem: utf8(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    certificatePem: utf8(`-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`),
  };
}

/** Lower-case hex of the PCRs, `null` where there is none. */
export function hexOf(values: Readonly<Record<string, Uint8Array | null>>): Record<string, string | null> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value === null ? null : toHex(value)]));
}
