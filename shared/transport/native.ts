// SPDX-License-Identifier: Apache-2.0
/** The native addon as TypeScript sees it (native/addon.c): made from source by the set-up, for Linux only. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import { Unavailable } from '../errors.ts';

export interface VsockName {
  readonly cid: number;
  readonly port: number;
}

/** Descriptors are non-blocking and close-on-exec. Errors are thrown or rejected with `errno`. */
export interface Native {
  bind(cid: number, port: number): number;
  connect(cid: number, port: number, timeoutMs: number): Promise<number>;
  peer(fd: number): VsockName;
  local(fd: number): VsockName;
  close(fd: number): void;
  openDevice(path: string): number;
  /** One request to the NSM, of at most 4096 bytes; off the event loop. */
  nsm(fd: number, request: Uint8Array): Promise<Uint8Array>;
}

const FUNCTIONS = ['bind', 'connect', 'peer', 'local', 'close', 'openDevice', 'nsm'];

function isNative(value: unknown): value is Native {
  return typeof value === 'object' && value !== null && FUNCTIONS.every((name) => typeof Reflect.get(value, name) === 'function');
}

/** Beside the sources, or beside what was compiled of them. */
const PLACES = ['./native/addon.node', '../../../shared/transport/native/addon.node'];

let loaded: Native | undefined;

/** @throws Unavailable (NATIVE_MISSING) where the addon was not built or does not load */
export function native(): Native {
  if (loaded !== undefined) return loaded;
  const file = PLACES.map((place) => new URL(place, import.meta.url)).find((place) => existsSync(place));
  try {
    if (file === undefined) throw new Error('there is no addon');
    const addon: unknown = createRequire(import.meta.url)(file.pathname);
    if (!isNative(addon)) throw new Error('the addon is another one');
    loaded = addon;
    return addon;
  } catch (error) {
    throw new Unavailable('NATIVE_MISSING', 'the native addon for vsock cannot be loaded', 'it is built on Linux by: npm run setup', error);
  }
}

/** The name of the system's error, such as ECONNRESET; null for an error of another kind. */
export function systemErrorName(error: unknown): string | null {
  const number: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'errno') : undefined;
  if (typeof number !== 'number' || number === 0) return null;
  return getSystemErrorName(-Math.abs(number));
}
