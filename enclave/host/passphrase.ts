// SPDX-License-Identifier: Apache-2.0
/**
 * Passphrases from the terminal that the command runs in, not from standard input: what a program feeds to a command is
 * not what a person typed. Buffers are wiped as soon as they are not needed; a passphrase never becomes a string.
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { Unavailable } from '../../shared/errors.ts';
import { PASSPHRASE_BYTES_MAX } from '../../shared/limits.ts';

export interface Terminal {
  /** Writes to the terminal itself, wherever standard output and error go. */
  say(text: string): void;
  /** Asks without showing what is typed. The caller wipes the bytes. */
  ask(prompt: string): Promise<Buffer>;
  close(): void;
}

function failed(message: string, hint: string, cause?: unknown): Unavailable {
  return new Unavailable('APPROVER_KEY', message, hint, cause);
}

/** Bytes of one line, as they are typed. */
class TypedLine {
  readonly #bytes: Buffer = Buffer.alloc(PASSPHRASE_BYTES_MAX);
  #length = 0;

  /** False if there is no room for it. */
  add(byte: number): boolean {
    if (this.#length === PASSPHRASE_BYTES_MAX) return false;
    this.#bytes[this.#length] = byte;
    this.#length += 1;
    return true;
  }

  /** Takes the last character back: in UTF-8, all bytes from its first. */
  rubOut(): void {
    let isRest = this.#length > 0;
    while (isRest) {
      this.#length -= 1;
      isRest = ((this.#bytes[this.#length] ?? 0) & 0xc0) === 0x80 && this.#length > 0;
      this.#bytes[this.#length] = 0;
    }
  }

  /** A copy of what was typed; nothing is left here. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.wipe();
    return taken;
  }

  wipe(): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }
}

const KEYS = { interrupt: 0x03, endOfFile: 0x04, backspace: 0x08, lineFeed: 0x0a, carriageReturn: 0x0d, clear: 0x15, delete: 0x7f } as const;

function tooLong(): Unavailable {
  return failed(`the passphrase has more than ${PASSPHRASE_BYTES_MAX} bytes`, 'use a shorter one');
}

/** The controlling terminal with its echo off. */
class RawTerminal implements Terminal {
  readonly #output: number;
  readonly #input: ReadStream;
  /** Typed before it was asked for. */
  readonly #ahead: number[] = [];

  constructor(input: number, output: number) {
    this.#output = output;
    this.#input = new ReadStream(input);
    this.#input.on('error', () => undefined);
    this.#input.setRawMode(true);
    this.#input.pause();
  }

  say(text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#output, bytes, at);
  }

  ask(prompt: string): Promise<Buffer> {
    this.say(prompt);
    const line = new TypedLine();
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        this.#input.off('data', take).off('close', end).off('end', end);
        this.#input.pause();
        this.say('\n');
        act();
      };
      const end = (): void => settle(() => {
        line.wipe();
        reject(failed('the terminal went away', 'run it again'));
      });
      const take = (chunk: Buffer): void => {
        this.#ahead.push(...chunk);
        chunk.fill(0);
        work();
      };
      const work = (): void => {
        for (;;) {
          const byte = this.#ahead.shift();
          if (byte === undefined) return;
          if (byte === KEYS.lineFeed || byte === KEYS.carriageReturn || byte === KEYS.endOfFile) {
            settle(() => resolve(line.take()));
            return;
          }
          if (byte === KEYS.interrupt) this.#interrupted();
          else if (byte === KEYS.backspace || byte === KEYS.delete) line.rubOut();
          else if (byte === KEYS.clear) line.wipe();
          else if (!line.add(byte)) {
            settle(() => {
              line.wipe();
              reject(tooLong());
            });
            return;
          }
        }
      };
      this.#input.on('data', take).on('close', end).on('end', end);
      this.#input.resume();
      work();
    });
  }

  close(): void {
    this.#ahead.fill(0);
    this.#input.setRawMode(false);
    this.#input.destroy();
    closeSync(this.#output);
  }

  /** Without its own handling, the terminal sends this key as a signal. */
  #interrupted(): void {
    this.say('\n');
    this.#input.setRawMode(false);
    process.kill(process.pid, 'SIGINT');
  }
}

/** The terminal that the process belongs to, or null if it has none. */
export function openTerminal(): Terminal | null {
  try {
    const output = openSync('/dev/tty', constants.O_WRONLY | constants.O_NOCTTY);
    return new RawTerminal(openSync('/dev/tty', constants.O_RDONLY | constants.O_NOCTTY), output);
  } catch {
    return null;
  }
}

/**
 * Reads a passphrase from an open file descriptor, up to its end or the first line end. Blocks until then.
 * @throws Unavailable APPROVER_KEY
 */
export function readPassphraseFrom(fd: number): Buffer {
  const line = new TypedLine();
  const byte = Buffer.alloc(1);
  try {
    while (readSync(fd, byte, 0, 1, null) === 1 && byte[0] !== KEYS.lineFeed) {
      if (!line.add(byte[0] ?? 0)) throw tooLong();
    }
    const taken = line.take();
    // A file of another system ends its line with two characters.
    return taken.at(-1) === KEYS.carriageReturn ? taken.subarray(0, -1) : taken;
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    throw failed(`nothing can be read from file descriptor ${fd}`, 'open it where the command is started, for example: --passphrase-fd 0 < FILE', error);
  } finally {
    byte.fill(0);
    line.wipe();
  }
}
