// SPDX-License-Identifier: Apache-2.0
/** Request ids: a bounded string or a safe integer. `1` and `"1"` are different ids. */
import { ID_LENGTH_MAX } from '../limits.ts';

export type RequestId = string | number;

/** True for a value that may be the id of a request. */
export function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' ? value.length <= ID_LENGTH_MAX : Number.isSafeInteger(value);
}
