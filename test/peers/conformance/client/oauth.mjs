// SPDX-License-Identifier: Apache-2.0
/**
 * The client's side of authorization without a person: the authorization page is fetched instead of shown, and the
 * address that it redirects to is kept until the code in it is redeemed. Everything lives in memory for one scenario.
 */
import { ClientCredentialsProvider, CrossAppAccessProvider, DpopSession, PrivateKeyJwtProvider, requestJwtAuthorizationGrant } from '@modelcontextprotocol/client';

const REDIRECT_URL = 'http://localhost:3000/callback';
/** The address that the suite expects as the id of a client with a metadata document (SEP-991). */
const CLIENT_METADATA_URL = 'https://conformance-test.local/client-metadata.json';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

export class HeadlessProvider {
  clientMetadataUrl = CLIENT_METADATA_URL;
  #clients = new Map();
  #tokens;
  #verifier = '';
  #discovery;
  #callback;
  #fixed;

  /** @param fixed client information from registration beforehand; undefined registers where the server allows it */
  constructor(fixed) {
    this.#fixed = fixed;
    if (fixed !== undefined) this.clientMetadataUrl = undefined;
  }

  get redirectUrl() {
    return REDIRECT_URL;
  }

  get clientMetadata() {
    return {
      client_name: 'conformance-client',
      redirect_uris: [REDIRECT_URL],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    };
  }

  clientInformation(context) {
    return this.#fixed ?? this.#clients.get(context?.issuer);
  }

  saveClientInformation(information, context) {
    this.#clients.set(context?.issuer, information);
  }

  tokens() {
    return this.#tokens;
  }

  saveTokens(tokens) {
    this.#tokens = tokens;
    // The next refusal has to look again at which authorization server is in charge (SEP-2352).
    this.#discovery = undefined;
  }

  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
  }

  codeVerifier() {
    return this.#verifier;
  }

  discoveryState() {
    return this.#discovery;
  }

  saveDiscoveryState(state) {
    this.#discovery = state;
  }

  async redirectToAuthorization(url) {
    const response = await fetch(url, { redirect: 'manual' });
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (location === null) throw new Error(`the authorization page answered ${response.status} and no redirect`);
    this.#callback = new URL(location).searchParams;
  }

  /** The parameters of the redirect that waits to be redeemed, once. */
  takeCallback() {
    const callback = this.#callback;
    this.#callback = undefined;
    return callback;
  }
}

/** Tokens that are bound to a key of the client (RFC 9449). */
class DpopProvider extends HeadlessProvider {
  #session = DpopSession.create();

  dpop() {
    return this.#session;
  }
}

/** A workload shows a token of its own platform instead of a user's consent (RFC 7523, SEP-1933). */
class WorkloadProvider extends HeadlessProvider {
  #assertion;

  constructor(clientId, assertion) {
    super({ client_id: clientId });
    this.#assertion = assertion;
  }

  get redirectUrl() {
    return undefined;
  }

  get clientMetadata() {
    return { client_name: 'conformance-client', redirect_uris: [], grant_types: [JWT_BEARER], token_endpoint_auth_method: 'none' };
  }

  prepareTokenRequest(scope) {
    const parameters = new URLSearchParams({ grant_type: JWT_BEARER, assertion: this.#assertion });
    if (scope !== undefined) parameters.set('scope', scope);
    return parameters;
  }
}

function crossAppAccess(context) {
  return new CrossAppAccessProvider({
    clientId: context.client_id,
    clientSecret: context.client_secret,
    assertion: async ({ authorizationServerUrl, resourceUrl, scope, fetchFn }) => {
      const { jwtAuthGrant } = await requestJwtAuthorizationGrant({
        tokenEndpoint: context.idp_token_endpoint,
        audience: authorizationServerUrl,
        resource: resourceUrl,
        idToken: context.idp_id_token,
        clientId: context.idp_client_id,
        scope,
        fetchFn,
      });
      return jwtAuthGrant;
    },
  });
}

/** The provider that a scenario asks for; `context` is what the suite tells the client about itself. */
export function providerFor(scenario, context) {
  switch (scenario) {
    case 'auth/client-credentials-jwt':
      return new PrivateKeyJwtProvider({
        clientId: context.client_id,
        privateKey: context.private_key_pem,
        algorithm: context.signing_algorithm,
      });
    case 'auth/client-credentials-basic':
      return new ClientCredentialsProvider({ clientId: context.client_id, clientSecret: context.client_secret });
    case 'auth/enterprise-managed-authorization':
      return crossAppAccess(context);
    case 'auth/wif-jwt-bearer':
      return new WorkloadProvider(context.client_id, context.valid_jwt);
    case 'auth/pre-registration':
      return new HeadlessProvider({ client_id: context.client_id, client_secret: context.client_secret, issuer: context.issuer });
    case 'auth/dpop':
    case 'auth/dpop-nonce':
      return new DpopProvider();
    default:
      return new HeadlessProvider(undefined);
  }
}
