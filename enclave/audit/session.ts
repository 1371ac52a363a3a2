// SPDX-License-Identifier: Apache-2.0
/**
 * One start of a gateway in its log: the segment that is written now, the next one when it is over, and the segments that
 * retention takes away. After anything it throws, the session can be resumed from what is stored, and from nothing else.
 */
import type { EraseRow, RowFields, TimeRow } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import { CLOCK_JUMP_MS } from '../../shared/limits.ts';
import type { Scrubber } from '../policy/scrub.ts';
import { createScrubber } from '../policy/scrub.ts';
import type { RedactionPattern } from '../policy/types.ts';
import { expiredThrough, removeThrough } from './prune.ts';
import type { Reader } from './reader-key.ts';
import { parseReader } from './reader-key.ts';
import type { Continuation } from './recover.ts';
import { begin, findContinuation } from './recover.ts';
import type { Seal } from './seal.ts';
import { createSeal } from './seal.ts';
import { addTrust, readTrust, trustPath } from './trust.ts';
import type { WorkerInput } from './wire.ts';
import type { Committed, NewRow } from './writer.ts';
import { LogWriter } from './writer.ts';

const clock = (): number => performance.now();

interface Times {
  readonly wall: number;
  readonly mono: number;
}

/** Sealing for fewer readers than were named would lock one of them out unnoticed. */
function readersOf(texts: readonly string[]): Reader[] {
  return texts.map((text) => {
    const reader = parseReader(text);
    if (reader === undefined) throw new Unavailable('AUDIT_KEY', 'a reader of audit.readers has no public key', 'use the line that "mcp-bastion audit reader new" printed');
    return reader;
  });
}

export class LogSession {
  readonly #input: WorkerInput;
  readonly #seal: Seal | undefined;
  #scrubber: Scrubber;
  #writer: LogWriter | undefined;
  /** Where the log stood after the last group: what is stored must not be less. */
  #head: { readonly epoch: number; readonly size: number } = { epoch: 0, size: 0 };
  /** Of the last row. */
  #times: Times;

  /** Opens the log and writes the boot row. */
  constructor(input: WorkerInput) {
    this.#input = input;
    this.#scrubber = createScrubber(input.scrubPatterns);
    this.#seal = input.readers.length === 0 ? undefined : createSeal(readersOf(input.readers));
    this.#times = { wall: input.wall, mono: input.mono };
    const place = findContinuation(input.dir, input.key.fingerprint, readTrust(trustPath(input.stateDir)));
    addTrust(input.stateDir, place.log, input.key.fingerprint);
    this.#start(place);
    this.#prune();
  }

  get origin(): string {
    return this.#open.origin;
  }

  get epoch(): number {
    return this.#open.place.epoch;
  }

  scrubWith(patterns: readonly RedactionPattern[]): void {
    this.#scrubber = createScrubber(patterns);
    this.#writer?.scrubWith(this.#scrubber);
  }

  /** Makes rows durable; a jump of the clock in them gets a row of its own, before them. */
  commit(drafts: readonly NewRow[]): Committed {
    const jump = this.#jumpIn(drafts);
    if (jump !== null) this.#noted(this.#open.commit([jump]));
    const group = this.#open.commit(drafts);
    this.#noted(group, drafts.at(-1));
    return group;
  }

  anchorDueIn(): number | undefined {
    return this.#writer?.anchorDueIn();
  }

  anchor(): void {
    this.#writer?.anchor();
  }

  /** Ends a segment that is large or old enough, begins the next one, and lets retention look at the others. */
  turnOver(): void {
    const { keeping } = this.#input;
    if (!this.#open.isOver(keeping.segmentBytes, keeping.segmentMs, this.#times.wall)) return;
    this.#noted(this.#open.commit([this.#row({ kind: 'close', session: this.#input.session, reason: 'segment is over' })]));
    this.#open.anchor();
    const { log, epoch } = this.#open.place;
    const head = this.#open.head();
    this.close();
    this.#start(begin(this.#input.dir, log, epoch + 1, head));
    this.#prune();
  }

  /** Lets go of the files; what is not committed is rolled back. */
  close(): void {
    this.#writer?.close();
    this.#writer = undefined;
  }

  /**
   * Goes on after a failure of the storage, from what is stored: it is checked as at a start.
   * @throws Unavailable AUDIT_ROLLBACK if it is less than this process knows to be durable
   */
  resume(): void {
    this.close();
    const { dir, key, stateDir } = this.#input;
    const place = findContinuation(dir, key.fingerprint, readTrust(trustPath(stateDir)));
    if (place.begin || place.epoch < this.#head.epoch || (place.epoch === this.#head.epoch && place.tree.frontier.size < this.#head.size)) {
      throw new Unavailable('AUDIT_ROLLBACK', `the log in ${dir} lost rows while it could not be written`, 'restore the newer files, then start again');
    }
    this.#writer = new LogWriter(place, { key, payload: this.#input.payload, scrubber: this.#scrubber, seal: this.#seal, clock });
    this.#writer.attach();
  }

  get #open(): LogWriter {
    if (this.#writer === undefined) throw new TypeError('the log is not open');
    return this.#writer;
  }

  #start(place: Continuation): void {
    const { key, payload, boot } = this.#input;
    const writer = new LogWriter(place, { key, payload, scrubber: this.#scrubber, seal: this.#seal, clock });
    this.#writer = writer;
    try {
      writer.boot(boot, this.#times.wall, this.#times.mono);
      this.#head = { epoch: place.epoch, size: writer.size };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #row(fields: RowFields): NewRow {
    return { fields, payload: null, ...this.#times };
  }

  #noted(group: Committed, last: Times = this.#times): void {
    this.#head = { epoch: group.epoch, size: group.size };
    this.#times = { wall: last.wall, mono: last.mono };
  }

  #jumpIn(drafts: readonly NewRow[]): NewRow | null {
    const [first] = drafts;
    let before = this.#times;
    for (const draft of drafts) {
      const expected = before.wall + (draft.mono - before.mono) / 1000;
      if (first !== undefined && Math.abs(draft.wall - expected) > CLOCK_JUMP_MS) {
        const fields: TimeRow = { kind: 'time', session: this.#input.session, change: 'jump', expected: Math.max(0, Math.round(expected)) };
        return { fields, payload: null, wall: first.wall, mono: first.mono };
      }
      before = draft;
    }
    return null;
  }

  #prune(): void {
    const { dir, keeping, session } = this.#input;
    if (keeping.keepMs === null) return;
    const through = expiredThrough(dir, this.epoch, this.#times.wall - keeping.keepMs);
    if (through === null) return;
    const fields: EraseRow = { kind: 'erase', session, scope: 'segment', of_epoch: through.epoch, row: null, size: through.size, root: through.root, reason: 'retention' };
    this.#noted(this.#open.commit([this.#row(fields)]));
    this.#open.anchor();
    removeThrough(dir, through.epoch);
  }
}
