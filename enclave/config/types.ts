// SPDX-License-Identifier: Apache-2.0
/** What a gateway is told about its servers, its listener and who may use it; all defaults are filled in. */
import type { Revision } from '../../shared/mcp/revisions.ts';

/** A value that a configuration refers to, so that the configuration itself holds no secret. */
export type Secret =
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }
  /** A text that is no secret. */
  | { readonly kind: 'literal'; readonly value: string };

export type ServerConfig =
  | {
      readonly name: string;
      readonly kind: 'stdio';
      /** At least one word; no shell reads it. */
      readonly argv: readonly string[];
      readonly env: ReadonlyMap<string, Secret>;
      readonly cwd: string | null;
    }
  | {
      readonly name: string;
      readonly kind: 'http';
      /** As it is written; its address is judged when it is dialled. */
      readonly url: string;
      readonly transport: 'http' | 'sse';
      readonly allowPrivate: boolean;
      /** Names in lower case. */
      readonly headers: ReadonlyMap<string, Secret>;
    };

export interface ListenAddress {
  /** Without brackets, in lower case; an IPv6 address in its shortest form. */
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
}

export interface TokenConfig {
  readonly name: string;
  /** SHA-256 of the token, in lower-case hex. */
  readonly sha256: string;
  readonly scopes: readonly string[];
}

export type AuthConfig =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly tokens: readonly TokenConfig[] }
  | {
      readonly kind: 'oauth';
      /** As it is written: `iss` is compared with it exactly. */
      readonly issuer: string;
      readonly jwksUrl: string | null;
      /** The gateway's own resource, compared with `aud` exactly. */
      readonly audience: string;
      /** What every token needs. */
      readonly scopes: readonly string[];
    };

export interface LimitsConfig {
  readonly sessions: number;
  readonly streams: number;
  readonly connections: number;
  readonly idleMs: number;
}

export interface BastionConfig {
  readonly version: 1;
  readonly policyPath: string;
  /** Null for the client's stdio: then there is one server. */
  readonly listen: ListenAddress | null;
  /** Where clients find the gateway on its listener. */
  readonly path: string;
  /** What clients see, without a slash at its end. */
  readonly publicUrl: string | null;
  /** In lower case. */
  readonly allowedHosts: readonly string[];
  /** In lower case. */
  readonly allowedOrigins: readonly string[];
  readonly auth: AuthConfig;
  /** At least one, in the order of the file. */
  readonly servers: readonly ServerConfig[];
  readonly limits: LimitsConfig;
  /** Older revisions are refused. */
  readonly minRevision: Revision | null;
  readonly legacySse: boolean;
  /** SHA-256 of the file's bytes, in hex. */
  readonly digest: string;
}

export const DEFAULT_PATH = '/mcp';
export const DEFAULT_LIMITS: LimitsConfig = { sessions: 256, streams: 1024, connections: 1024, idleMs: 1_800_000 };
