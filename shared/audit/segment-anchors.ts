// SPDX-License-Identifier: Apache-2.0
/**
 * Holds a growing tree against checkpoints that stand outside its database: the lines of the anchor file beside it, and
 * those that somebody kept elsewhere.
 */
import { equalBytes } from '../bytes.ts';
import { ANCHOR_CHECKPOINTS_MAX } from '../limits.ts';
import { AnchorChain } from './anchor.ts';
import type { Note, SignedCheckpoint, VerifySignature } from './checkpoint.ts';
import { signedByKey, verifyCheckpoint } from './checkpoint.ts';
import type { FindingCode } from './findings.ts';

/** The tree at the row at hand. */
export interface TreeNow {
  readonly size: number;
  /** Checkpoints of the database so far, and the last one. */
  readonly checkpoints: number;
  readonly signed: SignedCheckpoint | undefined;
  root(): Uint8Array;
}

export interface AnchorOptions {
  readonly origin: string;
  readonly key: Uint8Array | undefined;
  readonly verify: VerifySignature;
  /** Lines of the anchor file, null if there is none. */
  readonly lines: Iterable<string> | null;
  /** Checkpoints kept elsewhere, by size. */
  readonly kept: readonly Note[];
  readonly fail: (code: FindingCode, at: number | null, detail: string) => void;
  /** The anchor file covers rows that are not there, from this line on; the note is its last. */
  readonly ahead: (line: number, last: Note) => void;
}

type Judged = 'right' | 'unsigned' | 'invalid' | 'fork';

export class AnchorWatch {
  readonly #options: AnchorOptions;
  readonly #chain: AnchorChain | undefined;
  #keptNext = 0;
  #checkpointsAtAnchor = 0;
  #overdueReported = false;
  #local = 0;
  #external = 0;

  constructor(options: AnchorOptions) {
    this.#options = options;
    if (options.lines !== null) this.#chain = new AnchorChain(options.lines, options.origin);
  }

  /** Size of the last line of the anchor file that fits; 0 if none. */
  get local(): number {
    return this.#local;
  }

  /** Size of the largest kept checkpoint that fits; 0 if none. */
  get external(): number {
    return this.#external;
  }

  /** To be called after each row and its checkpoint. */
  row(tree: TreeNow): void {
    const chain = this.#chain;
    for (let head = chain?.head; head !== undefined && head.note.size <= tree.size; head = chain?.head) {
      this.#line(head.line, head.note, tree);
      chain?.advance();
    }
    if (tree.checkpoints - this.#checkpointsAtAnchor > ANCHOR_CHECKPOINTS_MAX + 1) this.#overdue(tree.size);
    const { kept } = this.#options;
    for (let note = kept[this.#keptNext]; note !== undefined && note.size <= tree.size; note = kept[this.#keptNext]) {
      this.#keptNext += 1;
      this.#kept(note, tree);
    }
  }

  /** `grownTo`: rows that a log had which is still being written, when its anchor file was looked at. */
  end(tree: TreeNow, grownTo: number): void {
    const { fail, kept } = this.#options;
    const brokenAt = this.#chain?.brokenAt;
    if (brokenAt !== undefined) fail('ANCHOR_CHAIN_BROKEN', brokenAt, 'a line of the anchor file is not the next one of its chain');
    const ahead = this.#chain?.head;
    if (ahead !== undefined && ahead.note.size > grownTo) this.#ahead(ahead.line, ahead.note);
    // The first line follows the first commit; a log that was cut off between the two holds one checkpoint only.
    if ((this.#chain?.count ?? 0) === 0 && tree.checkpoints > 1) this.#overdue(tree.size);
    for (const note of kept.slice(this.#keptNext)) {
      if (note.size <= grownTo) continue;
      if (this.#isGenuine(note)) fail('ANCHOR_AHEAD', note.size, 'a kept checkpoint covers rows that are not there');
      else fail('SIG_INVALID', note.size, 'a signature of a kept checkpoint does not verify');
    }
  }

  #ahead(line: number, first: Note): void {
    const { fail, ahead, origin } = this.#options;
    let last = first;
    for (let head = this.#chain?.head; head !== undefined; head = this.#chain?.head) {
      if (head.note.origin === origin && head.note.size >= last.size) last = head.note;
      this.#chain?.advance();
    }
    // A line behind the first one that is ahead is only looked at here.
    const brokenAt = this.#chain?.brokenAt;
    if (brokenAt !== undefined) fail('ANCHOR_CHAIN_BROKEN', brokenAt, 'a line of the anchor file is not the next one of its chain');
    if (!this.#isGenuine(first) || !this.#isGenuine(last)) fail('SIG_INVALID', line, 'a signature in the anchor file does not verify');
    else ahead(line, last);
  }

  /** The writer anchors at least every so many checkpoints: more without a line means that lines were taken away. */
  #overdue(size: number): void {
    if (this.#overdueReported) return;
    this.#overdueReported = true;
    this.#options.fail('ANCHOR_MISSING', size, 'lines of the anchor file are missing');
  }

  #line(line: number, note: Note, tree: TreeNow): void {
    const { fail, origin } = this.#options;
    if (note.origin !== origin) {
      fail('ANCHOR_CHAIN_BROKEN', line, 'a line of the anchor file is of another log');
      return;
    }
    if (note.size !== tree.size) {
      fail('ANCHOR_CHAIN_BROKEN', line, 'a line of the anchor file is of no size that the tree had');
      return;
    }
    switch (this.#judge(note, tree)) {
      case 'unsigned':
        fail('SIG_MISSING', line, "a line of the anchor file has no signature of the log's key");
        return;
      case 'invalid':
        fail('SIG_INVALID', line, 'a signature in the anchor file does not verify');
        return;
      case 'fork':
        fail('ANCHOR_FORK', line, 'a line of the anchor file signs another history');
        return;
      case 'right':
        this.#local = note.size;
        this.#checkpointsAtAnchor = tree.checkpoints;
    }
  }

  #kept(note: Note, tree: TreeNow): void {
    const { fail } = this.#options;
    // A checkpoint over nothing is a claim about nothing: nothing was kept by it.
    const judged = note.size === tree.size ? this.#judge(note, tree) : 'fork';
    switch (judged) {
      case 'unsigned':
        fail('SIG_MISSING', note.size, "a kept checkpoint has no signature of the log's key");
        return;
      case 'invalid':
        fail('SIG_INVALID', note.size, 'a signature of a kept checkpoint does not verify');
        return;
      case 'fork':
        fail('ANCHOR_FORK', note.size, 'a kept checkpoint signs another history');
        return;
      case 'right':
        this.#external = note.size;
    }
  }

  #judge(note: Note, tree: TreeNow): Judged {
    const { key, verify } = this.#options;
    const signed = key === undefined ? undefined : signedByKey(note, key);
    if (signed === undefined || key === undefined) return 'unsigned';
    // A signature that was verified in the database already need not be verified twice.
    if (!isSame(signed, tree.signed) && !verifyCheckpoint(signed, key, verify)) return 'invalid';
    return equalBytes(note.root, tree.root()) ? 'right' : 'fork';
  }

  #isGenuine(note: Note): boolean {
    const { key, verify } = this.#options;
    const signed = key === undefined ? undefined : signedByKey(note, key);
    return signed !== undefined && key !== undefined && verifyCheckpoint(signed, key, verify);
  }
}

function isSame(signed: SignedCheckpoint, other: SignedCheckpoint | undefined): boolean {
  if (other?.size !== signed.size || other.timestamp !== signed.timestamp) return false;
  return equalBytes(other.signature, signed.signature) && equalBytes(other.root, signed.root) && equalBytes(other.keyId, signed.keyId);
}
