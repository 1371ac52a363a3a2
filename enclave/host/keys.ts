// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion keys`: shows the audit key, exports its public half, and puts a new one in its place. */
import { randomBytes } from 'node:crypto';
import { toSpki } from '../../shared/audit/checkpoint.ts';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import { jsonObject } from '../../shared/json/value.ts';
import type { KeyPlace, PlaceParts } from '../audit/custody.ts';
import { gone, placeOf, systemParts } from '../audit/custody.ts';
import { readKnownKeys } from '../audit/known-keys.ts';
import { signerOf } from '../audit/recover.ts';
import { rotateKey } from '../audit/rotate.ts';
import type { AuditPlace } from './audit-place.ts';
import { parseCommand, policyPathOf, readAuditPlace } from './audit-place.ts';
import { defaultStateDir } from './state.ts';
import { visible } from '../../shared/cli/visible.ts';

export const KEYS_USAGE = `usage: mcp-bastion keys show --policy FILE [options]
       mcp-bastion keys export-public --policy FILE [options]
       mcp-bastion keys rotate --policy FILE [options]

Looks after the key that signs the audit log.

  show           where the key is kept, and its fingerprint
  export-public  the public key as PEM, and for each log that it signs now the verifier
                 key of C2SP signed notes
  rotate         makes a new key and puts it in the place of the old one. In each log
                 the old key signs over the new one first. Refused while a gateway
                 writes one of the logs; run again, it finishes what was cut off

  --policy FILE  whose section audit says where the key is
  --config FILE  the gateway's configuration, which names the policy
  --state DIR    the state folder; default MCP_BASTION_STATE or the platform's
  --json         print one JSON document

The private key is never shown. Exit status: 0 done; 1 the key is not the one that is
known; 2 usage; 3 could not.

example: mcp-bastion keys show --policy policy.yaml
`;

export interface KeysIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds since 1970. */
  now(): number;
  /** For tests; default: what this process was given. */
  readonly parts?: PlaceParts;
}

interface Context {
  readonly place: AuditPlace;
  readonly keyPlace: KeyPlace | null;
  readonly stateDir: string;
  readonly json: boolean;
  readonly io: KeysIo;
}

const OPTIONS = { policy: { type: 'string' }, config: { type: 'string' }, state: { type: 'string' }, json: { type: 'boolean' } } as const;

function print(context: Context, schema: string, members: Readonly<Record<string, string | boolean | number | null>>): void {
  const { io, json } = context;
  if (json) {
    io.stdout.write(`${wireJson(jsonObject({ schema, ...members }))}\n`);
    return;
  }
  for (const [key, value] of Object.entries(members)) {
    if (value !== null) io.stdout.write(`${`${key.replaceAll('_', '-')}:`.padEnd(13)}${visible(String(value))}\n`);
  }
}

async function show(context: Context): Promise<number> {
  const { keyPlace, stateDir, io } = context;
  if (keyPlace === null) {
    print(context, 'mcp-bastion/key/1', { custody: 'ephemeral', where: null, fingerprint: null, known: null });
    io.stderr.write('note: each start makes a key of its own and forgets it; the fingerprints stand in trust.json of the state folder\n');
    return 0;
  }
  const key = await keyPlace.load();
  const known = readKnownKeys(stateDir).get(keyPlace.where) ?? null;
  const unfinished = (await keyPlace.loadNext()) !== null;
  print(context, 'mcp-bastion/key/1', { custody: keyPlace.custody, where: keyPlace.where, fingerprint: key?.fingerprint ?? null, known });
  if (unfinished) io.stderr.write('note: a rotation was not finished; finish it with: mcp-bastion keys rotate\n');
  if (key === null && known === null) io.stderr.write('note: there is no key yet; the first start makes it\n');
  if (known === null || known === key?.fingerprint) return 0;
  io.stderr.write(`keys: error: the key ${key === null ? 'that is known is gone' : 'is not the one that is known'}\nhint: restore it; no gateway starts with another one\n`);
  return 1;
}

async function exportPublic(context: Context): Promise<number> {
  const { keyPlace, io, place } = context;
  if (keyPlace === null) throw new Unavailable('AUDIT_KEY', 'an ephemeral key is kept nowhere', 'the public key of each epoch stands in its segment: mcp-bastion audit bundle');
  const key = await keyPlace.load();
  if (key === null) throw gone(keyPlace.where);
  const der = Buffer.from(toSpki(key.publicKey)).toString('base64');
  const pem = `-----BEGIN PUBLIC KEY-----\n${der.replace(/.{1,64}/g, '$&\n')}-----END PUBLIC KEY-----\n`;
  const vkeys = place.dirs.flatMap((dir) => {
    const signer = signerOf(dir);
    return signer?.key === key.fingerprint ? [signer.vkey] : [];
  });
  if (context.json) io.stdout.write(`${wireJson(jsonObject({ schema: 'mcp-bastion/public-key/1', fingerprint: key.fingerprint, pem, vkeys }))}\n`);
  else io.stdout.write(`${pem}${vkeys.map((vkey) => `${visible(vkey)}\n`).join('')}`);
  if (vkeys.length === 0) io.stderr.write('note: this key signs no log here yet\n');
  return 0;
}

async function rotate(context: Context): Promise<number> {
  const { keyPlace, io, place, stateDir } = context;
  if (keyPlace === null) throw new Unavailable('AUDIT_KEY', 'an ephemeral key is another one at each start', 'there is nothing to rotate');
  const done = await rotateKey({
    place: keyPlace,
    stateDir,
    dirs: place.dirs,
    session: randomBytes(8).toString('hex'),
    now: () => io.now(),
    progress: (dir) => io.stderr.write(`handing over ${visible(dir)}\n`),
  });
  print(context, 'mcp-bastion/key-rotation/1', { custody: keyPlace.custody, where: keyPlace.where, was: done.from, fingerprint: done.to, logs: done.logs });
  return 0;
}

/**
 * Runs the command and returns its exit code.
 * @throws Usage; Unavailable AUDIT_KEY, AUDIT_LOCKED, AUDIT_CORRUPT, AUDIT_ROLLBACK, FILE_UNREADABLE
 */
export async function keysCommand(args: readonly string[], io: KeysIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(KEYS_USAGE);
    return 0;
  }
  const { values, positionals } = parseCommand(args, OPTIONS, 'keys');
  const [command, ...more] = positionals;
  const act = { show, 'export-public': exportPublic, rotate };
  if (more.length > 0 || (command !== 'show' && command !== 'export-public' && command !== 'rotate')) {
    throw new Usage('USAGE', 'there is no such keys command', 'see: mcp-bastion keys --help');
  }
  const stateDir = values.state ?? defaultStateDir(io.env);
  const place = readAuditPlace(policyPathOf(values, 'keys'), stateDir);
  const keyPlace = placeOf(place.key, io.parts ?? systemParts());
  return act[command]({ place, keyPlace, stateDir, json: values.json === true, io });
}
