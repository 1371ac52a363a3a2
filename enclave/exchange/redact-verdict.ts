// SPDX-License-Identifier: Apache-2.0
/** Takes out of a message that may move what the policy redacts; says so in its verdict, and where it had no time to look. */
import type { Direction } from '../../shared/audit/row.ts';
import type { Asking } from './parts.ts';
import type { Redact, RedactedMessage } from './redaction.ts';
import { redactError, redactRequest, redactResult } from './redaction.ts';
import type { Verdict } from './verdict.ts';
import { marked } from './verdict.ts';

function redactOf({ policy, server }: Asking): Redact {
  return (direction, value) => policy.redact(direction, server, value);
}

async function withRedaction(verdict: Verdict, redacted: Promise<RedactedMessage> | null): Promise<Verdict> {
  if (verdict.kind !== 'forward' || redacted === null) return verdict;
  const { value, count, masked } = await redacted;
  if (count === 0) return verdict;
  const made = { ...verdict, value, redactions: verdict.redactions + count };
  return masked === 0 || verdict.decision === 'alert' ? made : marked(made, 'REDACTION_TIMEOUT', 'a value could not be checked in time and was masked');
}

/** A request or notification that goes in this direction. */
export function redactedRequest(asking: Asking, dir: Direction, method: string, verdict: Verdict): Promise<Verdict> {
  const looks = verdict.kind === 'forward' && asking.policy.redacts(dir, asking.server);
  return withRedaction(verdict, looks ? redactRequest(redactOf(asking), dir, method, verdict.value) : null);
}

/** The answer to a request of this method; `dir` is the answer's way. */
export function redactedAnswer(asking: Asking, dir: Direction, method: string, verdict: Verdict): Promise<Verdict> {
  if (verdict.kind !== 'forward' || !asking.policy.redacts(dir, asking.server)) return Promise.resolve(verdict);
  const redact = redactOf(asking);
  const isError = verdict.value['error'] !== undefined;
  return withRedaction(verdict, isError ? redactError(redact, dir, verdict.value) : redactResult(redact, dir, method, verdict.value));
}
