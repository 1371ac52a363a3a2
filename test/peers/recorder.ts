// SPDX-License-Identifier: Apache-2.0
/** Passes a command's stdio through and notes each line: `>` to the command, `<` from it. */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import type { Readable } from 'node:stream';

const [file = '', command = '', ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });

/** Lines end at a line feed only: node:readline would also cut at U+2028. */
function lines(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) take(part);
  });
}

lines(process.stdin, (line) => {
  appendFileSync(file, `>${line}\n`);
  child.stdin.write(`${line}\n`);
});
process.stdin.on('end', () => child.stdin.end());
lines(child.stdout, (line) => {
  appendFileSync(file, `<${line}\n`);
  process.stdout.write(`${line}\n`);
});
child.on('exit', (code) => process.exit(code ?? 1));
