// SPDX-License-Identifier: Apache-2.0
/** Runs a command in a terminal of its own, and types at it as a person would. */
import { spawn } from 'node:child_process';

/** Python's pty gives the command a controlling terminal, which Node cannot make. */
const PLAYER = `
import json, os, pty, select, sys, time
argv, steps = json.loads(sys.argv[1]), json.loads(sys.argv[2])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
seen, at, status = b'', 0, None
until = time.monotonic() + 60
while True:
    if status is None:
        ended, code = os.waitpid(pid, os.WNOHANG)
        status = code if ended else None
    if status is None and time.monotonic() > until:
        os.kill(pid, 9)
    ready, _, _ = select.select([fd], [], [], 0 if status is not None else 0.2)
    try:
        chunk = os.read(fd, 65536) if ready else b''
    except OSError:
        # Nobody has the terminal open just now: a command may open it again.
        chunk = b''
        time.sleep(0.02)
    if not chunk and status is not None:
        break
    seen += chunk
    while steps and steps[0][0].encode() in seen[at:]:
        at += seen[at:].index(steps[0][0].encode()) + len(steps[0][0].encode())
        os.write(fd, steps.pop(0)[1].encode())
sys.stdout.buffer.write(seen)
sys.stdout.flush()
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
`;

export interface Typed {
  readonly code: number | null;
  /** All that the terminal showed, echo included. */
  readonly screen: string;
}

/** @param steps what has to be seen, and what is typed then, in their order */
export function typeAt(argv: readonly string[], steps: readonly (readonly [seen: string, typed: string])[], options: { cwd?: string; env?: Record<string, string> } = {}): Promise<Typed> {
  return new Promise((resolve, reject) => {
    const child = spawn('python3', ['-c', PLAYER, JSON.stringify(argv), JSON.stringify(steps)], { cwd: options.cwd, env: { ...process.env, ...options.env } });
    let screen = '';
    child.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (screen += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, screen: screen.replaceAll('\r\n', '\n') }));
  });
}
