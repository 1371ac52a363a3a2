// SPDX-License-Identifier: Apache-2.0
/** The parts of a policy that can hold rules, as far as they can be read. */
import { POLICY_LIST_MAX } from '../../shared/limits.ts';
import { asRecord, memberOf } from '../document/raw.ts';

/** The whole policy and each server's section, as far as they can be read. */
export function scopesOf(raw: unknown): readonly { readonly path: readonly (string | number)[]; readonly raw: unknown }[] {
  const sections = Object.entries(asRecord(memberOf(raw, 'servers'))).slice(0, POLICY_LIST_MAX);
  return [{ path: [], raw }, ...sections.map(([server, section]) => ({ path: ['servers', server], raw: section }))];
}
