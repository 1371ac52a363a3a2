// SPDX-License-Identifier: Apache-2.0
/** Answers a client's listing from what the gateway itself has listed and judged. */
import type { Catalog, Listing, ListingFailure } from '../pins/catalog.ts';
import type { ClientContext, RequestMessage } from './context.ts';
import { decideMethod } from './parts.ts';
import type { Refuse, Verdict } from './verdict.ts';
import { refuse, refuseByPolicy } from './verdict.ts';

/** What a listing that did not come about means for a request. */
export function listingRefusal(failure: ListingFailure): Refuse {
  if (failure.kind === 'failed') {
    return refuse(failure.code === 'PIN_STORE' ? 'PIN_STORE' : 'LISTING_FAILED', failure.message, 'what the server has cannot be told; see the log');
  }
  const message = 'the server refused to list what it has';
  return { ...refuse('LISTING_FAILED', message, 'ask the server why'), upstreamError: failure.error };
}

/** Judges a request of the client's for a page of a listing. */
export async function judgeList({ parts }: ClientContext, message: RequestMessage, catalog: Catalog): Promise<Verdict> {
  const decision = decideMethod(parts, 'c2s', message.method, message.params);
  if (decision.kind !== 'allow') return refuseByPolicy(decision);
  const cursor = message.params?.['cursor'];
  if (cursor !== undefined && typeof cursor !== 'string') {
    return refuse('PARAMS_INVALID', 'the cursor is not a string', 'send the cursor of the last page');
  }
  let listing: Listing | null = null;
  if (cursor === undefined) {
    listing = await catalog.forClient();
    if (listing.kind !== 'listed') return listingRefusal(listing);
  }
  const result = catalog.page(cursor ?? null, listing);
  if (result === undefined) {
    return refuse('CURSOR_UNKNOWN', 'invalid cursor', 'list again from the first page');
  }
  return { kind: 'answer', result, rule: decision.rule, reason: decision.reason };
}
