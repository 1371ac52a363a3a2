// SPDX-License-Identifier: Apache-2.0
/**
 * Writes a log with a key from the real keychain and says which, for the test of the keychain. Argument: state directory.
 * With `remove` behind it, takes the key out of the keychain instead.
 */
import { openAuditLog } from '../../enclave/audit/log.ts';
import { createKeychain } from '../../enclave/audit/keychain.ts';
import { Unavailable } from '../../shared/errors.ts';
import { BOOT, row } from './logs.ts';

const [stateDir = '', mode = ''] = process.argv.slice(2);
const NAME = 'mcp-bastion-audit';

async function run(): Promise<string> {
  if (mode === 'remove') {
    await createKeychain().remove(NAME);
    return 'removed';
  }
  const boot = { boot: BOOT, payload: 'redacted', signature: 'per-commit', scrubPatterns: [], wall: Date.now(), mono: 0 } as const;
  const log = await openAuditLog({ dir: null, stateDir, server: 'files', key: { kind: 'keychain', name: NAME }, ...boot });
  await log.append({ ...row(1, '{"a":1}'), wall: Date.now() });
  await log.close();
  return `key ${log.keyFingerprint} epoch ${log.epoch}`;
}

process.stdout.write(`${await run().catch((error: unknown) => (error instanceof Unavailable ? `${error.code} ${error.message}` : String(error)))}\n`);
process.exit(0);
