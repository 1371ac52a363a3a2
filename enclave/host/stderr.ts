// SPDX-License-Identifier: Apache-2.0
/**
 * An upstream's standard error, made safe to show: lines and rate are bounded, control and invisible characters are
 * taken out, and what the policy redacts is redacted. The text is never parsed.
 */
import type { Readable } from 'node:stream';
import { STDERR_LINE_BYTES_MAX, STDERR_LINES_PER_SECOND_MAX } from '../../shared/limits.ts';

const LINE_FEED = 0x0a;
const KEY_BEGIN = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY/;
const KEY_END = /-----END [A-Z0-9 ]*PRIVATE KEY/;
/** Stands in every line that begins a private key, as long as nothing invisible stands in it. */
const KEY_MARK = 'PRIVATE KEY';
/** Lines after the begin of a private key that are left out if its end never comes. */
const KEY_LINES_MAX = 200;
/** Characters at the end of a cut line that are left out. */
const CUT_MARGIN = 512;

/** ANSI sequences; then controls, format and bidi marks, line separators and what prints nothing, but for the tab. */
const UNSAFE =
  /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|(?!\t)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** A line without anything that could hide or rewrite text on a terminal. */
export function sanitiseLine(text: string): string {
  return text.replace(UNSAFE, '');
}

export interface StderrParts {
  readonly scrub: (text: string) => string;
  readonly write: (line: string) => void;
  /** Milliseconds. */
  readonly now: () => number;
}

/** Passes on the stream's lines until it ends. */
export function relayStderr(stream: Readable, parts: StderrParts): Promise<void> {
  let line: Buffer[] = [];
  let kept = 0;
  let cut = false;
  let second = 0;
  let lines = 0;
  let dropped = 0;
  let keyLines = 0;
  /** A private key stands on several lines: no pattern that sees one line at a time would match those in the middle. */
  const insideKey = (text: string): boolean => {
    if (keyLines === 0) {
      if (KEY_BEGIN.test(text) && !KEY_END.test(text)) keyLines = KEY_LINES_MAX;
      return false;
    }
    keyLines = KEY_END.test(text) ? 0 : keyLines - 1;
    return true;
  };
  const sayDropped = (): void => {
    if (dropped > 0) parts.write(`(${dropped} lines left out: more than ${STDERR_LINES_PER_SECOND_MAX} in one second)`);
  };
  /** A line that may not be shown is only counted, so that a flood does not take the time of everything else. */
  const emit = (): void => {
    if (kept === 0) return;
    const bytes = Buffer.concat(line);
    const wasCut = cut;
    line = [];
    kept = 0;
    cut = false;
    const now = Math.floor(parts.now() / 1000);
    if (now !== second) {
      sayDropped();
      second = now;
      lines = 0;
      dropped = 0;
    }
    lines += 1;
    const shown = lines <= STDERR_LINES_PER_SECOND_MAX;
    if (!shown) dropped += 1;
    if (!shown && keyLines === 0 && !bytes.includes(KEY_MARK)) return;
    const plain = sanitiseLine(bytes.toString('utf8'));
    if (insideKey(plain) || !shown) return;
    const scrubbed = parts.scrub(plain);
    // A secret that the cut splits would not match any more: the end of a cut line is not shown.
    const text = wasCut ? `${scrubbed.slice(0, Math.max(0, scrubbed.length - CUT_MARGIN))} (cut)` : scrubbed;
    if (text.trim() !== '') parts.write(text);
  };
  const take = (part: Buffer): void => {
    const room = STDERR_LINE_BYTES_MAX - kept;
    if (part.length > room) cut = true;
    if (room <= 0) return;
    line.push(Buffer.from(part.subarray(0, room)));
    kept += Math.min(room, part.length);
  };
  return new Promise((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      let from = 0;
      for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
        if (at > from) take(chunk.subarray(from, at));
        emit();
        from = at + 1;
      }
      take(chunk.subarray(from));
    });
    stream.on('error', () => resolve());
    stream.on('close', () => {
      if (kept > 0) emit();
      sayDropped();
      resolve();
    });
  });
}
