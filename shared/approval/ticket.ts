// SPDX-License-Identifier: Apache-2.0
/**
 * The ticket of a held call: what a person reads before approving it, and what the signature is made over. It binds one
 * call (by the digest of its real arguments) to one principal, server, policy and gateway. A ticket is known by the
 * SHA-256 of its canonical bytes, so an id that was swapped on the way leads to another ticket (design, section 8).
 */
import { fromHex, utf8 } from '../bytes.ts';
import { sha256Hex } from '../digest.ts';
import { canonicalJson } from '../json/canonical.ts';
import { parseStrictJson } from '../json/parse.ts';
import type { JsonObject, JsonValue } from '../json/value.ts';
import { isJsonObject, jsonObject } from '../json/value.ts';
import { toolLabel } from '../label.ts';
import { APPROVAL_TEXT_LENGTH_MAX, APPROVAL_TICKET_BYTES_MAX, APPROVERS_MAX, TOOL_NAME_LENGTH_MAX } from '../limits.ts';

export interface Ticket {
  readonly version: 1;
  /** Origin of the gateway's audit log, and SHA-256 of the SPKI of the key that signs it, hex. */
  readonly gateway: string;
  readonly audit_key: string;
  readonly principal: string;
  readonly server: string;
  /** The upstream's own name (attacker-controlled): a person has to see what is approved. */
  readonly tool: string;
  /** `tool#` and 8 hex digits, as logs and errors show it. */
  readonly label: string;
  /** The arguments as they are displayed: after redaction, and as the server is sent them. */
  readonly arguments: JsonObject;
  /** callDigest of the real arguments, hex. */
  readonly digest: string;
  /** SHA-256 of the policy document, hex. */
  readonly policy: string;
  readonly rule: string | null;
  /** How many have to approve. */
  readonly approvals: number;
  /** Names of those who may. */
  readonly approvers: readonly string[];
  /** Milliseconds since 1970. */
  readonly created: number;
  /** Until when it can be approved. */
  readonly expires: number;
  /** 32 random bytes, hex: no two tickets are alike, whatever they are for. */
  readonly random: string;
}

export type ParsedTicket =
  | { readonly ok: true; readonly ticket: Ticket; readonly id: string }
  /** `reason` holds nothing of the bytes. */
  | { readonly ok: false; readonly reason: string };

/** SHA-256 of the canonical JSON of a call's name and arguments, hex. `_meta` is no part of it. */
export function callDigest(name: string, args: JsonObject): string {
  return sha256Hex(canonicalJson(jsonObject({ name, arguments: args })));
}

/** The bytes that are signed and hashed: canonical JSON (RFC 8785) in UTF-8. */
export function ticketBytes(ticket: Ticket): Uint8Array {
  return utf8(canonicalJson(ticketJson(ticket)));
}

/** 64 hex digits: SHA-256 of the canonical bytes. */
export function ticketId(canonical: Uint8Array): string {
  return sha256Hex(canonical);
}

function ticketJson(ticket: Ticket): JsonObject {
  return jsonObject({ ...ticket, approvers: [...ticket.approvers] });
}

/** Reads attacker-controlled bytes: exactly one ticket in exactly the form that ticketBytes writes. */
export function parseTicket(bytes: Uint8Array): ParsedTicket {
  if (bytes.length > APPROVAL_TICKET_BYTES_MAX) return { ok: false, reason: 'the ticket is too long' };
  const parsed = parseStrictJson(bytes);
  const ticket = parsed.ok ? ticketOf(parsed.value) : undefined;
  if (ticket === undefined) return { ok: false, reason: 'this is no ticket' };
  const canonical = ticketBytes(ticket);
  if (canonical.length !== bytes.length || canonical.some((byte, at) => byte !== bytes[at])) return { ok: false, reason: 'the ticket is not in canonical form' };
  return { ok: true, ticket, id: ticketId(bytes) };
}

const KEYS = 16;
const SERVER = /^[a-z0-9-]{1,24}$/;

function text(value: JsonValue | undefined, lengthMax: number = APPROVAL_TEXT_LENGTH_MAX): string | undefined {
  return typeof value === 'string' && value.length > 0 && value.length <= lengthMax ? value : undefined;
}

function hash(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value.length === 64 && fromHex(value) !== undefined ? value : undefined;
}

function natural(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function names(value: JsonValue | undefined): string[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > APPROVERS_MAX) return undefined;
  const list: string[] = [];
  for (const name of value) {
    const read = text(name);
    if (read === undefined || list.includes(read)) return undefined;
    list.push(read);
  }
  return list;
}

/** The claims of a ticket that is made of the right members; what they say is not judged. */
function ticketOf(value: JsonValue): Ticket | undefined {
  if (!isJsonObject(value) || Object.keys(value).length !== KEYS || value['version'] !== 1) return undefined;
  const gateway = text(value['gateway']);
  const principal = text(value['principal']);
  const server = text(value['server']);
  const tool = text(value['tool'], TOOL_NAME_LENGTH_MAX);
  const args = value['arguments'];
  const auditKey = hash(value['audit_key']);
  const digest = hash(value['digest']);
  const policy = hash(value['policy']);
  const random = hash(value['random']);
  const rule = value['rule'] === null ? null : text(value['rule']);
  const approvals = natural(value['approvals']);
  const approvers = names(value['approvers']);
  const created = natural(value['created']);
  const expires = natural(value['expires']);
  if (gateway === undefined || principal === undefined || server === undefined || tool === undefined) return undefined;
  if (!SERVER.test(server) || value['label'] !== toolLabel(tool) || !isJsonObject(args)) return undefined;
  if (auditKey === undefined || digest === undefined || policy === undefined || random === undefined || rule === undefined) return undefined;
  if (approvals === undefined || approvals < 1 || approvers === undefined || approvals > approvers.length) return undefined;
  if (created === undefined || expires === undefined || expires < created) return undefined;
  const who = { gateway, audit_key: auditKey, principal, server };
  const what = { tool, label: toolLabel(tool), arguments: args, digest, policy, rule };
  return { version: 1, ...who, ...what, approvals, approvers, created, expires, random };
}
