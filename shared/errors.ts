// SPDX-License-Identifier: Apache-2.0
/**
 * The three families of failure and their stable codes. Messages are safe to show: they hold no payload and no tool
 * name. Expected outcomes are values; these classes are for what ends the operation at hand.
 */

/** Input that is refused because of its form. */
export type MalformedCode =
  | 'FRAME_TOO_LARGE'
  | 'FRAME_UNTERMINATED'
  | 'BOM'
  | 'UTF8_INVALID'
  | 'JSON_SYNTAX'
  | 'JSON_TRAILING'
  | 'JSON_DEPTH'
  | 'JSON_NODES'
  | 'KEY_DUPLICATE'
  | 'KEY_CASE_COLLISION'
  | 'KEY_FORBIDDEN'
  | 'INTEGER_UNSAFE'
  | 'NUMBER_RANGE'
  | 'SURROGATE_LONE'
  | 'ENVELOPE_INVALID'
  | 'ENVELOPE_KEY'
  | 'JSONRPC_VERSION'
  | 'ID_INVALID'
  | 'METHOD_INVALID'
  | 'PARAMS_INVALID'
  | 'BATCH_EMPTY'
  | 'BATCH_TOO_LARGE'
  | 'BATCH_NOT_ALLOWED';

/** Well-formed input that is refused by policy, pins or protocol state. */
export type DeniedCode =
  | 'TOOL_DENIED'
  | 'TOOL_NOT_ALLOWED'
  | 'TOOL_NOT_LISTED'
  | 'TOOL_PIN_DRIFT'
  | 'TOOL_PIN_NEW'
  | 'TOOL_HEADER_INVALID'
  | 'APPROVAL_REQUIRED'
  | 'APPROVAL_DENIED'
  | 'APPROVAL_EXPIRED'
  | 'APPROVAL_FULL'
  | 'TICKET_UNKNOWN'
  | 'TICKET_CLOSED'
  | 'APPROVER_UNKNOWN'
  | 'APPROVER_NOT_ALLOWED'
  | 'APPROVER_REPEATED'
  | 'SIGNATURE_INVALID'
  | 'RULE_ALERT'
  | 'LIMIT_EXCEEDED'
  | 'ITEM_PIN_DRIFT'
  | 'ITEM_PIN_NEW'
  | 'TOOL_SHADOWED'
  | 'METHOD_DENIED'
  | 'METHOD_UNKNOWN'
  | 'METHOD_WRONG_KIND'
  | 'METHOD_WRONG_DIRECTION'
  | 'ERA_MIXED'
  | 'ERA_DOWNGRADE'
  | 'REVISION_UNKNOWN'
  | 'ID_IN_FLIGHT'
  | 'ID_UNKNOWN'
  | 'PROGRESS_UNKNOWN'
  | 'RESULT_TYPE_UNKNOWN'
  | 'RESULT_INVALID'
  | 'CURSOR_UNKNOWN'
  | 'CANCELLED'
  | 'CHANGE_MERGED'
  | 'IN_FLIGHT_LIMIT'
  | 'HEADER_MISMATCH'
  | 'META_INVALID'
  | 'STATE_INVALID'
  | 'NOTIFICATION_UNASKED'
  | 'MEDIA_TYPE'
  | 'ACCEPT_INVALID'
  | 'METHOD_NOT_ALLOWED'
  | 'PATH_UNKNOWN'
  | 'SESSION_REQUIRED'
  | 'SESSION_UNKNOWN'
  | 'EVENT_UNKNOWN'
  | 'CAPACITY'
  | 'REDACTION_TIMEOUT'
  | 'HOST_REFUSED'
  | 'ORIGIN_REFUSED'
  | 'AUTH_REQUIRED'
  | 'AUTH_INVALID'
  | 'AUTH_SCOPE';

/** The environment cannot do what is asked now. */
export type UnavailableCode =
  | 'AUDIT_UNAVAILABLE'
  | 'AUDIT_LOCKED'
  | 'AUDIT_ROLLBACK'
  | 'AUDIT_CORRUPT'
  | 'AUDIT_KEY'
  | 'LISTING_FAILED'
  | 'PIN_STORE'
  | 'UPSTREAM_GONE'
  | 'UPSTREAM_SPAWN'
  | 'UPSTREAM_ADDRESS'
  | 'UPSTREAM_UNREACHABLE'
  | 'UPSTREAM_PROTOCOL'
  | 'UPSTREAM_STATUS'
  | 'UPSTREAM_AUTH'
  | 'SESSION_LOST'
  | 'LISTEN_FAILED'
  | 'STREAM_FAILED'
  | 'NATIVE_MISSING'
  | 'AUTH_UNAVAILABLE'
  | 'FILE_UNREADABLE'
  | 'FILE_EXISTS'
  | 'APPROVER_KEY'
  | 'GATEWAY_UNREACHABLE';

/** A document (policy, configuration) or a command line that is wrong. */
export type UsageCode = 'POLICY_INVALID' | 'CONFIG_INVALID' | 'SECRET_IN_CONFIG' | 'USAGE';

export type ErrorCode = MalformedCode | DeniedCode | UnavailableCode | UsageCode;

/** The environment failed: nothing is wrong with the input. The `cause` is for debugging, never for a peer. */
export class Unavailable extends Error {
  readonly code: UnavailableCode;
  readonly hint: string;

  constructor(code: UnavailableCode, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'Unavailable';
    this.code = code;
    this.hint = hint;
  }
}

/** A command line or document is wrong; the person who wrote it can mend it with the hint. */
export class Usage extends Error {
  readonly code: UsageCode;
  readonly hint: string;

  constructor(code: UsageCode, message: string, hint: string) {
    super(message);
    this.name = 'Usage';
    this.code = code;
    this.hint = hint;
  }
}
