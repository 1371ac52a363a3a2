// SPDX-License-Identifier: Apache-2.0
/** From a policy document to the decisions that the data path asks for. */
import { open } from 'node:fs/promises';
import { sha256Hex } from '../../shared/digest.ts';
import { Unavailable } from '../../shared/errors.ts';
import { POLICY_BYTES_MAX } from '../../shared/limits.ts';
import { CREDENTIAL_PATTERNS } from './credentials.ts';
import type { PolicyDocument } from './document.ts';
import { parsePolicy } from './document.ts';
import type { Glob } from './glob.ts';
import { compileGlob } from './glob.ts';
import { createDecideMethod } from './methods.ts';
import { createRedactor } from './redact.ts';
import { createScrubber } from './scrub.ts';
import { createDecideTool } from './tools.ts';
import type { Policy, RedactionPattern } from './types.ts';

/** Stands for a line of text that could not be scrubbed in time. */
const MASKED = '[REDACTED]';

/** A policy from a valid document. `digest`: SHA-256 of the document's bytes, hex. */
export function compilePolicy(document: PolicyDocument, digest: string): Policy {
  const redactPatterns: RedactionPattern[] = document.redactArgs.map(({ pattern, replacement }, index) => ({
    name: `redact_args[${index}]`,
    source: pattern,
    replacement,
  }));
  const scrubPatterns = [...redactPatterns, ...CREDENTIAL_PATTERNS];
  const redactor = createRedactor({ patterns: redactPatterns });
  const scrubber = createScrubber(scrubPatterns);
  return {
    digest,
    pinning: document.pinning,
    audit: document.audit,
    decideTool: createDecideTool({
      deny: document.denyTools.map(globOf),
      approve: document.requireApproval.map(globOf),
      allow: document.allowTools.map(globOf),
      otherwise: document.default,
    }),
    decideMethod: createDecideMethod(
      document.methods.map(({ pattern, action }) => ({ glob: globOf(pattern), action })),
      document.default,
    ),
    redactArguments: (args) => redactor.redact(args),
    scrubPatterns,
    scrubText: (text) => scrubber.text(text) ?? MASKED,
    close: () => redactor.close(),
  };
}

/**
 * Reads, checks and compiles a policy: from a file, or from bytes that came another way.
 * @throws Usage (POLICY_INVALID) for a wrong document, Unavailable (FILE_UNREADABLE) for a file that cannot be read
 */
export async function loadPolicy(source: string | Uint8Array): Promise<Policy> {
  const bytes = typeof source === 'string' ? await readBounded(source) : source;
  const document = parsePolicy(bytes, typeof source === 'string' ? source : 'policy');
  return compilePolicy(document, sha256Hex(bytes));
}

function globOf(pattern: string): Glob {
  const compiled = compileGlob(pattern);
  if (!compiled.ok) throw new RangeError('the document holds a pattern that was not checked');
  return compiled.glob;
}

/** One byte more than allowed is enough to refuse the file: a device or a huge file is never read whole. */
async function readBounded(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = new Uint8Array(POLICY_BYTES_MAX + 1);
      let length = 0;
      while (length < buffer.length) {
        const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return buffer.slice(0, length);
    } finally {
      await file.close();
    }
  } catch (error) {
    const hint = 'check the path and its permissions, or write a policy with: mcp-bastion init -o policy.yaml';
    throw new Unavailable('FILE_UNREADABLE', 'the policy file cannot be read', hint, error);
  }
}
