// SPDX-License-Identifier: Apache-2.0
/**
 * Every bound on hostile input, with its unit and the reason for its size. Nothing in the product reads, queues or
 * repeats without one of these names.
 */

/** Bytes of one JSON-RPC message: above any result seen in practice (images travel as base64), below what hurts. */
export const MESSAGE_BYTES_MAX: number = 16 * 1024 * 1024;
/** Nesting of one message: JSON Schemas of real tools stay under 40. */
export const JSON_DEPTH_MAX = 128;
/** Values (scalars, arrays, objects) in one message. */
export const JSON_NODES_MAX = 1_000_000;
/** Elements of one JSON-RPC batch. */
export const BATCH_ELEMENTS_MAX = 64;
/** UTF-16 units of a string request id. */
export const ID_LENGTH_MAX = 256;
/** UTF-16 units of a method name. */
export const METHOD_LENGTH_MAX = 128;
/** UTF-16 units of a tool name: the specification asks for 128, real servers exceed it. */
export const TOOL_NAME_LENGTH_MAX = 512;
/** Requests of one direction that wait for their response. */
export const IN_FLIGHT_MAX = 1024;
/** Bytes at each end of an over-long line that are kept, to find the id it answers. */
export const OVERSIZE_KEEP_BYTES = 512;

/** Pages of one listing made by the gateway. */
export const LISTING_PAGES_MAX = 64;
/** Tools of one server. */
export const LISTING_TOOLS_MAX = 10_000;
/** Bytes of all pages of one listing: some hundred times what real servers list. */
export const LISTING_BYTES_MAX: number = 32 * 1024 * 1024;
/** Milliseconds that one whole listing may take. */
export const LISTING_MS_MAX = 15_000;
/** Listings whose cursors a client may still follow. */
export const LISTING_SNAPSHOTS_MAX = 4;

/** Bytes of a policy document. */
export const POLICY_BYTES_MAX: number = 1024 * 1024;
/** Entries of one list in a policy. */
export const POLICY_LIST_MAX = 4096;
/** UTF-16 units of a glob. */
export const GLOB_LENGTH_MAX = 512;
/** UTF-16 units of a regular expression. */
export const PATTERN_LENGTH_MAX = 1024;
/** UTF-16 units of what a match is replaced with: bounds how much redaction can make a message grow. */
export const REPLACEMENT_LENGTH_MAX = 128;
/** Milliseconds that redaction of one message may take, checked between patterns. */
export const REDACTION_MS_MAX = 250;
/** Bytes of a string that is redacted on the event loop; longer ones go to a worker. */
export const REDACTION_INLINE_BYTES_MAX: number = 256 * 1024;
/** Milliseconds that the redaction worker may take to start; the budget of a message begins after it. */
export const REDACTION_START_MS_MAX = 10_000;

/** Rows of one commit group. */
export const COMMIT_ROWS_MAX = 256;
/** Bytes of row bodies and payloads of one commit group. */
export const COMMIT_BYTES_MAX: number = 1024 * 1024;
/** Rows that wait for their commit. */
export const AUDIT_QUEUE_ROWS_MAX = 4096;
/** Bytes that wait for their commit. */
export const AUDIT_QUEUE_BYTES_MAX: number = 64 * 1024 * 1024;
/** Milliseconds after which a row that is not durable counts as lost: the log is then unavailable. */
export const AUDIT_APPEND_MS_MAX = 10_000;
/** Bytes of one row's canonical body. */
export const ROW_BYTES_MAX: number = 64 * 1024;
/** Bytes of one stored payload; a longer one is stored as its size and commitment. */
export const PAYLOAD_BYTES_MAX: number = 1024 * 1024;
/** UTF-16 units of a checkpoint note: 16 signature lines of ML-DSA-44. */
export const NOTE_LENGTH_MAX: number = 64 * 1024;
/** Signature lines of one note. */
export const NOTE_SIGNATURES_MAX = 16;
/** UTF-16 units of one line of an anchor file: a note in JSON. */
export const ANCHOR_LINE_LENGTH_MAX: number = 72 * 1024;
/** Checkpoints between two anchor lines. */
export const ANCHOR_CHECKPOINTS_MAX = 64;
/** Milliseconds for which a checkpoint may stay without an anchor line. */
export const ANCHOR_MS_MAX = 1000;
/** Rows of a log that are read in whole when it is opened again; of a longer one, those since the last anchor. */
export const RECOVERY_ROWS_MAX = 50_000;
/** Bytes of a trust file: some hundred thousand keys. */
export const TRUST_BYTES_MAX: number = 32 * 1024 * 1024;
/** Milliseconds for which a reader holds one transaction on a log. */
export const READ_TRANSACTION_MS_MAX = 2000;
/** Rows that inspect-log shows at most. */
export const INSPECT_ROWS_MAX = 100_000;
/** Directories below a path that inspect-log looks through for logs. */
export const LOG_TREE_DEPTH_MAX = 4;
/** Slots for logs of one server that are written at the same time. */
export const LOG_SLOTS_MAX = 64;

/** Bytes of one line on an upstream's standard error; the rest of the line is cut. */
export const STDERR_LINE_BYTES_MAX = 4096;
/** Lines of an upstream's standard error that are passed on in one second. */
export const STDERR_LINES_PER_SECOND_MAX = 100;
/** Milliseconds between closing an upstream's standard input and SIGTERM, and from there to SIGKILL. */
export const SHUTDOWN_GRACE_MS = 2000;
/** Milliseconds that a listing may be served from memory, whatever the server's `ttlMs` says. */
export const LISTING_TTL_MS_MAX = 3_600_000;
/** Messages of one direction that may be under way at once. */
export const PIPELINE_MESSAGES_MAX = 256;
/** Bytes of the messages of one direction that may be under way at once. */
export const PIPELINE_BYTES_MAX: number = 64 * 1024 * 1024;
/** Milliseconds that answers may still take after the client closed its side. */
export const DRAIN_MS_MAX = 10_000;
/** Bytes of a pins lockfile: 10,000 tools of one server take about 2 MiB. */
export const LOCKFILE_BYTES_MAX: number = 16 * 1024 * 1024;
/** Pins of one server that are kept: all tools that it may list at once. */
export const PINS_PER_SERVER_MAX = 10_000;
/** Milliseconds to wait for a lock that another process holds. */
export const LOCK_WAIT_MS_MAX = 5000;

/** Attempts at one request for which a server may ask for input (2026-07-28): forms have a handful of steps. */
export const INPUT_ROUNDS_MAX = 16;

/** Bytes of an SSE event id: it comes back in a request header. */
export const SSE_ID_BYTES_MAX = 1024;
/** Bytes of an SSE event name: those in use have up to 8. */
export const SSE_NAME_BYTES_MAX = 64;
/** Milliseconds that an SSE stream may ask its reader to wait before it comes back. */
export const SSE_RETRY_MS_MAX = 3_600_000;
/** UTF-16 units of a header value that is decoded: HTTP servers take some 16 KiB of headers in all. */
export const HEADER_VALUE_LENGTH_MAX: number = 64 * 1024;
/** Arguments that one tool may have copied into headers: each costs a header in every call. */
export const PARAM_HEADERS_MAX = 64;
/** Characters of the name of such a header, without its prefix. */
export const PARAM_HEADER_NAME_LENGTH_MAX = 128;

/** Bytes of a configuration: 64 servers with all that belongs to them take about 100 KiB. */
export const CONFIG_BYTES_MAX: number = 1024 * 1024;
/** Servers of one configuration: each of them is a process or a connection of its own. */
export const SERVERS_MAX = 64;
/** Entries of one list or section of a configuration. */
export const CONFIG_LIST_MAX = 256;
/** UTF-16 units of one text of a configuration: paths and addresses stay below it. */
export const CONFIG_TEXT_LENGTH_MAX = 4096;
/** Bytes of a secret that a configuration refers to: a key with its chain of certificates takes about 10 KiB. */
export const SECRET_BYTES_MAX: number = 64 * 1024;
/** What `limits.sessions` may be at most: a session keeps about 100 KiB. */
export const SESSIONS_MAX = 16_384;
/** What `limits.streams` may be at most: long-lived answers that are open at once. */
export const STREAMS_MAX = 65_536;
/** What `limits.connections` may be at most: each takes a file descriptor. */
export const CONNECTIONS_MAX = 65_536;
/** Milliseconds that `limits.idle_ms` may be at most, a week: a session that nobody uses must end. */
export const IDLE_MS_MAX = 604_800_000;

/** UTF-16 units of a server's URL: what servers and proxies commonly take. */
export const UPSTREAM_URL_LENGTH_MAX = 4096;
/** Milliseconds to look up a server's name, connect, and agree on TLS. */
export const UPSTREAM_CONNECT_MS_MAX = 10_000;
/** Milliseconds until the headers of an answer to GET or DELETE; POST has no limit here: a tool call takes its time. */
export const UPSTREAM_HEADERS_MS_MAX = 600_000;
/** Bytes of the header names and values of one answer. */
export const UPSTREAM_HEADER_BYTES_MAX: number = 64 * 1024;
/** Milliseconds that an unused connection to a server is kept: less than servers commonly keep it. */
export const UPSTREAM_IDLE_MS_MAX = 4000;
/** Milliseconds that an unused connection is kept where the server says that it keeps it longer. */
export const UPSTREAM_IDLE_HINT_MS_MAX = 60_000;
/** Bytes of one encoded answer after decoding. It is a stream and may be a long one: its messages have their own bound. */
export const UPSTREAM_DECODED_BYTES_MAX: number = 1024 * 1024 * 1024;
/** Bytes that encoded bytes may decode to, each: JSON rarely exceeds 30, a bomb has 1000. */
export const UPSTREAM_DECODED_RATIO_MAX = 100;
/** Decoded bytes for which the ratio does not count: short repetitive answers exceed it. */
export const UPSTREAM_DECODED_FREE_BYTES: number = 1024 * 1024;

/** UTF-16 units of a bearer token: access tokens with many groups take some 4 KiB. */
export const BEARER_LENGTH_MAX = 8192;
/** Seconds by which the clocks of an issuer and the gateway may differ. */
export const TOKEN_CLOCK_SECONDS_MAX = 60;
/** Keys of one issuer's set: real ones have fewer than ten. */
export const JWKS_KEYS_MAX = 64;
/** UTF-16 units of one member of a key: RSA with 8192 bits takes 1366. */
export const JWK_MEMBER_LENGTH_MAX = 2048;
/** Milliseconds that fetching an issuer's keys may take, with its metadata. */
export const JWKS_FETCH_MS_MAX = 10_000;
/** Milliseconds after which an issuer's keys are fetched again. */
export const JWKS_FRESH_MS_MAX = 600_000;
/** Milliseconds for which keys serve that cannot be fetched again: so long may a revoked key live. */
export const JWKS_STALE_MS_MAX = 3_600_000;
/** Milliseconds between two fetches of an issuer's keys: tokens with made-up key ids must not cause more. */
export const JWKS_REFRESH_MS_MIN = 30_000;
/** The same while there are no keys at all, so that one lost packet does not cost half a minute. */
export const JWKS_RETRY_MS_MIN = 2000;

/** Events of one response that are kept for a client whose connection broke. */
export const CHANNEL_EVENTS_MAX = 256;
/** UTF-16 units of those events; the newest is kept whatever its size. */
export const CHANNEL_BYTES_MAX: number = 4 * 1024 * 1024;
/** Responses of one session that are kept to be taken up again. */
export const CHANNELS_KEPT_MAX = 64;
/** Milliseconds between signs of life on a quiet response: proxies close after 30 to 60 seconds. */
export const KEEP_ALIVE_MS = 15_000;
/** Milliseconds for which a client may take nothing of what it asked for. */
export const CLIENT_STALL_MS_MAX = 60_000;
/** Milliseconds after which a stream is taken up again where the server names no other time. */
export const RETRY_MS_DEFAULT = 1000;
/** Milliseconds between two attempts at most, whatever the server says. */
export const RETRY_MS_MAX = 60_000;
/** Attempts to take up a stream that ends each time without anything new. */
export const RESUME_ATTEMPTS_MAX = 8;
/** Milliseconds that a request's headers, and then its body, may take to arrive. */
export const REQUEST_HEADERS_MS_MAX = 15_000;
export const REQUEST_BODY_MS_MAX = 60_000;
/** Bytes of the headers of one request: a token of 8 KiB, and mirrored arguments. */
export const REQUEST_HEADER_BYTES_MAX: number = 64 * 1024;
/** Bytes of request bodies that may be under way at once. */
export const BODIES_BYTES_MAX: number = 256 * 1024 * 1024;
/** Clients of 2026-07-28, by principal and capabilities, whose judged listing is kept. */
export const MODERN_PEERS_MAX = 256;
/** Refusals at the door that get a row in one second; more are counted on standard error only. */
export const DOOR_ROWS_PER_SECOND_MAX = 100;

/** Bytes of a small JSON document that the gateway fetches, such as the keys of an issuer. */
export const JSON_DOCUMENT_BYTES_MAX: number = 256 * 1024;

/** Milliseconds until a server of the transport of 2024-11-05 has to have named where it takes messages. */
export const SSE_ENDPOINT_MS_MAX = 10_000;
/** Milliseconds that a message waits for the server to take the one before it, so that order is kept where it can be. */
export const POST_ORDER_MS_MAX = 2000;

/** Characters of a name that clients of the aggregated endpoint see: model APIs take no longer ones. */
export const CLIENT_NAME_LENGTH_MAX = 64;
/** Milliseconds that one of several servers may take for its handshake before the others go on without it. */
export const AGGREGATE_WAIT_MS_MAX = 10_000;
/** Milliseconds before one of several servers that ended is started again. */
export const AGGREGATE_RESTART_MS = 1000;
/** Milliseconds for which one of several servers that failed is not waited for again. */
export const AGGREGATE_REST_MS = 60_000;
/** Names, URIs or tasks of one server that are remembered to know whose they are: what it may list at once. */
export const ROUTES_PER_SERVER_MAX = 10_000;
/** UTF-16 units of a URI or template that is remembered; what is longer is found in other ways or not at all. */
export const ROUTE_LENGTH_MAX = 2048;
/** Resource templates of one server that a URI is compared with. */
export const TEMPLATES_PER_SERVER_MAX = 256;
/** Pieces, literal or variable, of one resource template: each costs one pass over a URI. */
export const TEMPLATE_PIECES_MAX = 32;
/** UTF-16 units of a server's cursor that becomes part of one for all servers: those in use have some hundred. */
export const SERVER_CURSOR_LENGTH_MAX = 4096;
/** UTF-16 units of a cursor for all servers: it comes back in a request. */
export const AGGREGATE_CURSOR_LENGTH_MAX: number = 512 * 1024;
/** Folded names that are compared between servers; those that come later are not. */
export const LOOKALIKE_NAMES_MAX = 200_000;
/** Warnings about several servers together that are said once each in the life of a process. */
export const AGGREGATE_NOTICES_MAX = 1000;
/** Milliseconds that the requests of a session that ends may take to be answered: a server's process ends in four seconds. */
export const SESSION_END_MS_MAX = 6000;

/** Milliseconds without use after which a session makes room for a new one: clients often leave without a word. */
export const SESSION_ROOM_MS_MIN = 60_000;
/** Milliseconds for which the body of a refused request is still read. */
export const UNREAD_BODY_MS_MAX = 2000;
/** UTF-16 units of finished responses of one session that its client could still ask for, the newest aside. */
export const FINISHED_LENGTH_MAX: number = 256 * 1024;
/** Milliseconds for which a response stays known that was written to the end: the client may have been gone already. */
export const FINISHED_MS_MAX = 30_000;
/** Milliseconds that a server's response stays open whose request is answered or cancelled. */
export const LINGER_MS_MAX = 10_000;
/** Milliseconds between two attempts at least: a server that says 0 would be asked without pause. */
export const RETRY_MS_MIN = 100;
/** UTF-16 units of the long messages to one server that wait for their answer: each is in memory about three times. */
export const UPSTREAM_BODIES_LENGTH_MAX: number = 128 * 1024 * 1024;
/** UTF-16 units up to which a message does not count among the long ones. */
export const UPSTREAM_BODY_FREE_LENGTH: number = 64 * 1024;
/** Of these, how many one principal may have: clients declare one or two sets of capabilities. */
export const MODERN_PEERS_PER_PRINCIPAL_MAX = 16;

/** Bytes of an enclave image file: what Node reads in one piece; real images have some hundred MiB. */
export const EIF_BYTES_MAX: number = 2 * 1024 * 1024 * 1024 - 1;
/** Sections of an enclave image file: its header has no room for more. */
export const EIF_SECTIONS_MAX = 32;
/** Bytes of the kernel command line of an image: COMMAND_LINE_SIZE of x86_64 and aarch64 Linux. */
export const EIF_CMDLINE_BYTES_MAX = 2048;
/** Bytes of an image's metadata: it may hold what Docker says about the container. */
export const EIF_METADATA_BYTES_MAX: number = 1024 * 1024;
/** Bytes of an image's signature section, as the platform bounds it. */
export const EIF_SIGNATURE_BYTES_MAX = 32_768;
/** Entries of one ramdisk: Node, its libraries, the product and a model are some thousand. */
export const CPIO_ENTRIES_MAX = 100_000;
/** Bytes of a path in a ramdisk: PATH_MAX of Linux. */
export const CPIO_PATH_BYTES_MAX = 4096;
/** Bytes that a compressed ramdisk may decompress to where two images are compared. */
export const RAMDISK_BYTES_MAX: number = 1024 * 1024 * 1024;
/** Bytes of a key, certificate or list of measurements that is given on a command line. */
export const EIF_INPUT_BYTES_MAX: number = 64 * 1024;
/** Milliseconds that a server may take to accept a notification or an answer: it has nothing else to do with it. */
export const TAKE_MS_MAX = 60_000;
/** Bytes up to which one body is read however much all bodies take: what all responses together may add is small. */
export const BODY_FREE_BYTES: number = 64 * 1024;

/** Bytes of an attestation document: its payload, and at most 1024 around it. */
export const ATTESTATION_BYTES_MAX: number = 17 * 1024;
/** Bytes of its payload, by AWS's description. */
export const ATTESTATION_PAYLOAD_BYTES_MAX: number = 16 * 1024;
/** Bytes of user_data, nonce and public_key each: what AWS signs, though its text says 512 in one place. */
export const ATTESTATION_FIELD_BYTES_MAX = 1024;
/** Bytes of the user_data that the gateway writes: what every description of the device allows. */
export const STATEMENT_BYTES_MAX = 512;
/** Bytes of a nonce that proves freshness at least: 128 bits cannot be foreseen. */
export const NONCE_BYTES_MIN = 16;
/** Authorities of an attestation document, the root included: AWS uses four. */
export const CABUNDLE_MAX = 8;
/** Milliseconds between an attestation document's own time and that at which it is verified. */
export const ATTESTATION_AGE_MS_MAX = 300_000;
/** Milliseconds by which this machine's clock may be wrong where it decides about a period. */
export const CLOCK_SKEW_MS_MAX = 60_000;
/** Nested items of a CBOR document: attestation documents have three levels. */
export const CBOR_DEPTH_MAX = 4;
/** Nested elements of a DER document: certificates have seven levels. */
export const DER_DEPTH_MAX = 12;
/** Bytes of one certificate of an attestation document, by AWS's description. */
export const CERTIFICATE_BYTES_MAX = 1024;
/** Bytes of a certificate's serial number (RFC 5280 section 4.1.2.2). */
export const SERIAL_BYTES_MAX = 20;
/** Attributes of a name in a certificate: AWS uses six. */
export const NAME_ATTRIBUTES_MAX = 16;
/** Extensions of a certificate: AWS uses five. */
export const EXTENSIONS_MAX = 16;
/** Bytes of the trust file of a verifier: 32 registers and three digests take about 5 KiB. */
export const ATTESTATION_TRUST_BYTES_MAX: number = 64 * 1024;
/** Bytes of a document that an enclave boots with, as a verifier reads it: a lockfile of all pins is the longest. */
export const BOOT_DOCUMENT_BYTES_MAX: number = 64 * 1024 * 1024;
/** Milliseconds for which calls are judged by one listing where nothing tells of changes (2026-07-28 over HTTP). */
export const LISTING_OLD_MS = 60_000;
/** Tasks whose principal is remembered. */
export const TASK_OWNERS_MAX = 65_536;

export * from './limits/approval.ts';
export * from './limits/audit.ts';
export * from './limits/pins.ts';
export * from './limits/policy.ts';
export * from './limits/screen.ts';
export * from './limits/transport.ts';
