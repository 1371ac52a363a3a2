// SPDX-License-Identifier: Apache-2.0
/** Runs inside the machine that guest.test.ts boots: vsock streams as they are in an enclave, and its security module. */
import { once } from 'node:events';
import { VSOCK_CID_ANY } from '../../shared/address.ts';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { native } from '../../shared/transport/native.ts';
import { connectStream, listenStream } from '../../shared/transport/transport.ts';
import type { StreamPlace } from '../harness/streams.ts';
import { STREAM_CASES } from '../harness/streams.ts';

/** Ports that the host knows of. */
const ECHO_PORT = 7000;
const REPORT_PORT = 7001;
/** The machine itself, and its host. */
const SELF_CID = 1;
const HOST_CID = 2;
const MAX_PATIENCE_MS = 60_000;

let port = 10_000;
const vsock: StreamPlace = {
  next: () => {
    const taken = (port += 1);
    return { listen: { kind: 'vsock', cid: VSOCK_CID_ANY, port: taken }, connect: () => ({ kind: 'vsock', cid: SELF_CID, port: taken }) };
  },
  nowhere: () => ({ kind: 'vsock', cid: SELF_CID, port: 9 }),
  peer: 'vsock',
  patience: MAX_PATIENCE_MS,
};

async function run(behaviour: string, step: () => Promise<void>): Promise<string> {
  try {
    await step();
    return `ok ${behaviour}`;
  } catch (error) {
    return `failed ${behaviour}: ${error instanceof Error ? error.stack : String(error)}`;
  }
}

/** What the security module answers to a request. */
async function ask(fd: number, request: Uint8Array): Promise<string> {
  return toHex(await native().nsm(fd, request));
}

const report = await connectStream({ kind: 'vsock', cid: HOST_CID, port: REPORT_PORT }, MAX_PATIENCE_MS);
const say = (line: string): boolean => report.write(`${JSON.stringify(line)}\n`);
for (const [behaviour, step] of STREAM_CASES) say(await run(behaviour, () => step(vsock)));
const fd = native().openDevice('/dev/nsm');
say(`nsm ${await ask(fd, Uint8Array.from([0x6b, ...utf8('DescribeNSM')]))}`);
const random = Uint8Array.from([0x69, ...utf8('GetRandom')]);
const drawn = await Promise.all(Array.from({ length: 8 }, () => ask(fd, random)));
say(`random ${new Set(drawn).size}`);
native().close(fd);
const peers: string[] = [];
const echo = await listenStream(
  { kind: 'vsock', cid: VSOCK_CID_ANY, port: ECHO_PORT },
  {
    accept: (stream, peer) => {
      peers.push(peer.kind === 'vsock' ? `cid ${peer.cid}` : peer.kind);
      stream.pipe(stream);
    },
    failed: (error) => say(`failed accept: ${error.message}`),
    connectionsMax: 100,
  },
);
say('ready');
await once(report, 'data');
say(`peers ${[...new Set(peers)].join()}`);
await echo.close();
report.end(() => {
  // The emulator's backend does not always tell of the end of the other side.
  setTimeout(() => process.exit(0), 500);
});
