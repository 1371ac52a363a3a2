// SPDX-License-Identifier: Apache-2.0
/**
 * Bundles the two verifiers for a browser, in memory: what an auditor's page would load. With `--check` it fails if a
 * bundle is larger than its ceiling, or holds anything of Node, of the network, or code made from text.
 */
import { gzipSync } from 'node:zlib';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = dirname(import.meta.dirname);

export interface Verifier {
  readonly name: string;
  readonly modules: readonly string[];
  /** Bytes, minified: a third above what it takes, so that only a new dependency exceeds it. */
  readonly ceiling: number;
}

export const VERIFIERS: readonly Verifier[] = [
  { name: 'bastion-verify-log', modules: ['shared/audit/verify.ts', 'shared/audit/evidence.ts', 'shared/audit/trust.ts', 'shared/audit/report.ts', 'shared/audit/bundle.ts', 'shared/audit/proof.ts'], ceiling: 80 * 1024 },
  { name: 'bastion-verify-pcrs', modules: ['shared/attestation/verify.ts', 'shared/attestation/trust.ts'], ceiling: 52 * 1024 },
];

/** What has no place in a page that only computes. */
const FORBIDDEN: readonly [what: string, pattern: RegExp][] = [
  ['a module of Node', /["']node:/],
  ['require', /\brequire\s*\(/],
  ['process', /(?<![\w.$])process\s*\./],
  ['Buffer', /(?<![\w.$])Buffer\s*[.(]/],
  ['eval', /\beval\s*\(|\bnew Function\b|\bFunction\s*\(/],
  ['import at run time', /\bimport\s*\(/],
  ['the network', /\bfetch\s*\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon/],
  ['storage of the browser', /localStorage|sessionStorage|indexedDB/],
];

export interface Bundle {
  readonly code: string;
  readonly bytes: number;
  readonly zipped: number;
}

export async function bundleOf(modules: readonly string[]): Promise<Bundle> {
  const contents = modules.map((module) => `export * from './${module}';`).join('\n');
  const made = await build({
    stdin: { contents, resolveDir: root, loader: 'ts' },
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2024',
    legalComments: 'none',
    logLevel: 'silent',
  });
  const code = made.outputFiles[0]?.text ?? '';
  return { code, bytes: Buffer.byteLength(code), zipped: gzipSync(code).length };
}

/** What is wrong with a bundle, in words; empty if nothing is. */
export function problemsOf({ name, ceiling }: Verifier, { code, bytes }: Bundle): string[] {
  const found = FORBIDDEN.filter(([, pattern]) => pattern.test(code)).map(([what]) => `${name} holds ${what}`);
  if (bytes === 0) found.push(`${name} is empty`);
  if (bytes > ceiling) found.push(`${name} has ${bytes} bytes, more than its ceiling of ${ceiling}`);
  return found;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.some((word) => word !== '--check')) {
    process.stderr.write('verifier-bundle: error: there is no such option\nhint: use --check, or nothing\n');
    return 2;
  }
  const problems: string[] = [];
  for (const verifier of VERIFIERS) {
    const bundle = await bundleOf(verifier.modules);
    process.stdout.write(`${verifier.name}: ${bundle.bytes} bytes, ${bundle.zipped} zipped, ceiling ${verifier.ceiling}\n`);
    problems.push(...problemsOf(verifier, bundle));
  }
  for (const problem of problems) process.stderr.write(`verifier-bundle: ${problem}\n`);
  return args.includes('--check') && problems.length > 0 ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = await main(process.argv.slice(2));
