// SPDX-License-Identifier: Apache-2.0
/** Stands between the gateway and a real server, and notes every line that reaches the server in WITNESS. */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';

const [command = '', ...args] = process.argv.slice(2);
const witness = process.env['WITNESS'] ?? '';
const server = spawn(command, args, { stdio: ['pipe', 'inherit', 'inherit'] });
process.stdin.on('data', (chunk: Buffer) => {
  appendFileSync(witness, chunk);
  server.stdin.write(chunk);
});
process.stdin.on('end', () => server.stdin.end());
server.on('exit', (code) => process.exit(code ?? 1));
