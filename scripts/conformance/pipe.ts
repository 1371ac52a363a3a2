// SPDX-License-Identifier: Apache-2.0
/**
 * A byte pipe in the gateway's place (`--gateway pipe`): what the bench itself costs and changes, which should be
 * nothing outside authorization. Header names keep their case, streams are flushed as they come.
 *
 *   node pipe.ts PORT UPSTREAM-ORIGIN
 */
import { createServer, request } from 'node:http';

const [port = '0', upstream = ''] = process.argv.slice(2);
const origin = new URL(upstream);

const listener = createServer((incoming, outgoing) => {
  const onward = request(
    { host: origin.hostname, port: origin.port, method: incoming.method, path: incoming.url, headers: incoming.rawHeaders },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
      answer.on('error', () => outgoing.destroy());
    },
  );
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
});
listener.listen(Number(port), '127.0.0.1', () => {
  process.stderr.write(`pipe: listening on http://127.0.0.1:${port}\n`);
});
