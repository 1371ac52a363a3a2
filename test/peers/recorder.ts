// SPDX-License-Identifier: Apache-2.0
/** Passes a command's stdio through and notes each line: `>` to the command, `<` from it. */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [file = '', command = '', ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
createInterface(process.stdin)
  .on('line', (line) => {
    appendFileSync(file, `>${line}\n`);
    child.stdin.write(`${line}\n`);
  })
  .on('close', () => child.stdin.end());
createInterface(child.stdout).on('line', (line) => {
  appendFileSync(file, `<${line}\n`);
  process.stdout.write(`${line}\n`);
});
child.on('exit', (code) => process.exit(code ?? 1));
