// SPDX-License-Identifier: Apache-2.0
/**
 * Lets a few clients through at a time. The suite starts the clients of all its scenarios at once, and 40 of them with a
 * gateway each would time out on a small machine. A client holds its turn as long as its connection is open, so that one
 * that crashes gives it back.
 */
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

export async function openTurnstile(path: string, atOnce: number): Promise<Server> {
  const waiting: Socket[] = [];
  let inside = 0;
  const admit = (): void => {
    while (inside < atOnce) {
      const next = waiting.shift();
      if (next === undefined) return;
      inside += 1;
      next.once('close', () => {
        inside -= 1;
        admit();
      });
      next.write('go\n');
    }
  };
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.resume();
    waiting.push(socket);
    socket.once('close', () => {
      const at = waiting.indexOf(socket);
      if (at !== -1) waiting.splice(at, 1);
    });
    admit();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}

/** Waits for a turn; closing the socket gives it back. */
export function takeTurn(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('data', () => resolve(socket));
  });
}
