// SPDX-License-Identifier: Apache-2.0
/** What nitro-cli prints about an image, member for member, so that its users' scripts read ours. */
import { toHex } from '../bytes.ts';
import type { JsonObject } from '../json/value.ts';
import { isJsonObject, jsonObject } from '../json/value.ts';
import type { Measurements } from './measure.ts';
import type { EifMetadata } from './metadata.ts';
import type { Eif } from './read.ts';

/** nitro-cli prints the debug form of its hash object there. */
const HASH_ALGORITHM = 'Sha384 { ... }';

/** The signing certificate as nitro-cli shows it. */
export interface CertificateDescription {
  /** By the long names of OpenSSL, such as `commonName`. */
  readonly issuerName: Readonly<Record<string, string>>;
  /** Such as `ecdsa-with-SHA384`. */
  readonly algorithm: string;
  /** Such as `Jan  2 03:04:05 2026 GMT`. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** Upper-case hex with colons. */
  readonly signature: string;
}

/** What is known about a signature besides its bytes. */
export interface SignatureDescription {
  readonly certificate: CertificateDescription;
  /** True if the signature is good and is over this image's PCR0. */
  readonly valid: boolean;
}

/** The `Measurements` member; `more` are further PCRs by name. */
export function describeMeasurements(measurements: Measurements, more: ReadonlyMap<string, Uint8Array> = new Map()): JsonObject {
  const { pcr0, pcr1, pcr2, pcr8 } = measurements;
  const values = jsonObject({ HashAlgorithm: HASH_ALGORITHM, PCR0: toHex(pcr0), PCR1: toHex(pcr1), PCR2: toHex(pcr2) });
  for (const [name, value] of more) values[name] = toHex(value);
  if (pcr8 !== null) values['PCR8'] = toHex(pcr8);
  return values;
}

function describeMetadata(metadata: EifMetadata): JsonObject {
  const shown = jsonObject({
    BuildTime: metadata.buildTime,
    BuildTool: metadata.buildTool,
    BuildToolVersion: metadata.buildToolVersion,
    OperatingSystem: metadata.operatingSystem,
    KernelVersion: metadata.kernelVersion,
    DockerInfo: metadata.dockerInfo,
  });
  const custom = metadata.customMetadata;
  if (custom === null) return shown;
  // nitro-cli puts the members among its own; one of the same name must not hide what the build said.
  const fits = isJsonObject(custom) && !Object.keys(custom).some((key) => Object.hasOwn(shown, key));
  return fits ? Object.assign(shown, custom) : Object.assign(shown, { CustomMetadata: custom });
}

/** What `nitro-cli describe-eif` prints. */
export function describeEif(eif: Eif, measurements: Measurements, signature: SignatureDescription | null): JsonObject {
  const certificate = signature?.certificate;
  return jsonObject({
    EifVersion: 4,
    Measurements: describeMeasurements(measurements),
    IsSigned: eif.signature !== null,
    SigningCertificate:
      certificate === undefined
        ? undefined
        : jsonObject({
            IssuerName: jsonObject(certificate.issuerName),
            Algorithm: certificate.algorithm,
            NotBefore: certificate.notBefore,
            NotAfter: certificate.notAfter,
            Signature: certificate.signature,
          }),
    CheckCRC: eif.crcMatches,
    SignatureCheck: signature?.valid,
    ImageName: eif.metadata.imageName,
    ImageVersion: eif.metadata.imageVersion,
    Metadata: describeMetadata(eif.metadata),
  });
}
