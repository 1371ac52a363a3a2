// SPDX-License-Identifier: Apache-2.0
/**
 * Lets a log go on that lost rows its anchor file covers: a person accepts it. What is left stays as it is; a new epoch
 * begins, whose second row names the lost rows and the root that was signed over them (audit reference, 2.6).
 */
import { rmSync } from 'node:fs';
import type { RecoverRow } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { VERSION } from '../../shared/version.ts';
import type { AmendOptions } from './amend.ts';
import { amend } from './amend.ts';
import { segmentPath } from './files.ts';
import type { Loss } from './recover.ts';
import { begin, findContinuation, findLoss, signerOf } from './recover.ts';
import { readTrust, trustPath } from './trust.ts';

/** Where no epoch is left whose first row could be repeated. */
function plainBoot(): JsonObject {
  return jsonObject({ kind: 'boot', version: VERSION, node: process.versions.node, server: '', policy: '', mode: 'enforce', order: 'strict', signature: 'per-commit', payload: 'none' });
}

/**
 * For the holder of the lock. Null if nothing is lost.
 * @throws Unavailable AUDIT_CORRUPT for a log that is damaged: that is not mended, and stays evidence
 */
export function acceptLoss(options: Omit<AmendOptions, 'boot' | 'place'>): Loss | null {
  const { dir, key, session, now } = options;
  const trust = readTrust(trustPath(options.stateDir));
  try {
    findContinuation(dir, key.fingerprint, trust);
    return null;
  } catch (error) {
    if (!(error instanceof Unavailable) || error.code !== 'AUDIT_ROLLBACK') throw error;
  }
  const loss = findLoss(dir, trust);
  // A file without tables holds nothing: the epoch is gone, and counts as that.
  if (loss.from === 0) for (const suffix of ['', '-wal', '-shm']) rmSync(segmentPath(dir, loss.epoch) + suffix, { force: true });
  const place = begin(dir, loss.log, loss.epoch + 1, loss.head);
  const boot = signerOf(dir)?.boot ?? plainBoot();
  amend({ ...options, boot, place }, (writer) => {
    const fields: RecoverRow = { kind: 'recover', session, of_epoch: loss.epoch, from: loss.from, to: loss.to, root: loss.root };
    writer.commit([{ fields, payload: null, wall: now(), mono: 0 }]);
  });
  return loss;
}
