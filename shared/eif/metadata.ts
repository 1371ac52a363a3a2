// SPDX-License-Identifier: Apache-2.0
/**
 * The metadata section of an EIF: JSON about the build. No PCR covers it, so whoever hands over the file may have
 * written anything there: it is shown, never believed.
 */
import { utf8 } from '../bytes.ts';
import { parseStrictJson } from '../json/parse.ts';
import type { JsonObject, JsonValue } from '../json/value.ts';
import { isJsonObject } from '../json/value.ts';
import { EIF_METADATA_BYTES_MAX } from '../limits.ts';

export interface EifMetadata {
  readonly imageName: string;
  readonly imageVersion: string;
  /** RFC 3339. */
  readonly buildTime: string;
  readonly buildTool: string;
  readonly buildToolVersion: string;
  readonly operatingSystem: string;
  readonly kernelVersion: string;
  /** What Docker says about the container that the image was made of; null where there was none. */
  readonly dockerInfo: JsonValue;
  /** What the image's maker added. */
  readonly customMetadata: JsonValue;
}

/** The build time in files that are the same bit for bit whenever they are built. */
export const FIXED_BUILD_TIME = '1970-01-01T00:00:00+00:00';

function textOf(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  return typeof value === 'string' ? value : undefined;
}

/** Reads the section's data, which is attacker-controlled; undefined if AWS's reader would not take it. */
export function parseMetadata(data: Uint8Array): EifMetadata | undefined {
  if (data.length > EIF_METADATA_BYTES_MAX) return undefined;
  const parsed = parseStrictJson(data);
  if (!parsed.ok || !isJsonObject(parsed.value)) return undefined;
  const build = parsed.value['BuildMetadata'];
  const dockerInfo = parsed.value['DockerInfo'];
  if (!isJsonObject(build) || dockerInfo === undefined) return undefined;
  const imageName = textOf(parsed.value, 'ImageName');
  const imageVersion = textOf(parsed.value, 'ImageVersion');
  const buildTime = textOf(build, 'BuildTime');
  const buildTool = textOf(build, 'BuildTool');
  const buildToolVersion = textOf(build, 'BuildToolVersion');
  const operatingSystem = textOf(build, 'OperatingSystem');
  const kernelVersion = textOf(build, 'KernelVersion');
  if (imageName === undefined || imageVersion === undefined || buildTime === undefined || buildTool === undefined) return undefined;
  if (buildToolVersion === undefined || operatingSystem === undefined || kernelVersion === undefined) return undefined;
  // The format's text calls it optional; its library does not. Both kinds of file exist.
  const customMetadata = parsed.value['CustomMetadata'] ?? null;
  return { imageName, imageVersion, buildTime, buildTool, buildToolVersion, operatingSystem, kernelVersion, dockerInfo, customMetadata };
}

/** The section's data, in the order in which AWS's tools write it. */
export function encodeMetadata(metadata: EifMetadata): Uint8Array {
  return utf8(
    JSON.stringify({
      ImageName: metadata.imageName,
      ImageVersion: metadata.imageVersion,
      BuildMetadata: {
        BuildTime: metadata.buildTime,
        BuildTool: metadata.buildTool,
        BuildToolVersion: metadata.buildToolVersion,
        OperatingSystem: metadata.operatingSystem,
        KernelVersion: metadata.kernelVersion,
      },
      DockerInfo: metadata.dockerInfo,
      CustomMetadata: metadata.customMetadata,
    }),
  );
}
