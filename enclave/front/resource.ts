// SPDX-License-Identifier: Apache-2.0
/**
 * What the gateway says of itself as a protected resource (RFC 9728). It names its own URL: a token is for the gateway,
 * never for the server behind it, and is not passed on (mcp.md section 5).
 */
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';

export interface ProtectedResource {
  /** The URL that clients use, and that is the audience of their tokens. */
  readonly resource: string;
  readonly authorizationServers: readonly string[];
  readonly scopes: readonly string[];
  /** For people to read. */
  readonly name: string;
}

/** The metadata document (section 2). Empty lists are left out, as section 3.2 asks. */
export function protectedResourceMetadata({ resource, authorizationServers, scopes, name }: ProtectedResource): JsonObject {
  return jsonObject({
    resource,
    authorization_servers: authorizationServers.length === 0 ? undefined : [...authorizationServers],
    scopes_supported: scopes.length === 0 ? undefined : [...scopes],
    bearer_methods_supported: ['header'],
    resource_name: name,
  });
}

/** Where clients look for the document (section 3.1): the well-known name stands between host and path. */
export function resourceMetadataUrl(resource: string): string {
  const { origin, pathname, search } = new URL(resource);
  return `${origin}/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}${search}`;
}
