// SPDX-License-Identifier: Apache-2.0
/** One request of a client's that has to get exactly one answer, and what may come before it. */
import type { CallArguments, Message } from './message.ts';
import { answerText } from './message.ts';
import type { Since, Tally } from './tally.ts';

/** What the client does about its call, beside waiting. */
export type Course = 'waits' | 'cancels';

export interface CallOptions {
  readonly who: string;
  readonly tool: string;
  readonly args: CallArguments;
  readonly id: number;
  readonly course: Course;
  /** True where the answer has to be an error of the policy's. */
  readonly denied: boolean;
  /** True if the session of the call began before the server's last start. */
  readonly outdated: () => boolean;
}

export class Call {
  readonly #tally: Tally;
  readonly #options: CallOptions;
  readonly #since: Since;
  #progress = 0;
  #answers = 0;

  constructor(tally: Tally, options: CallOptions) {
    this.#tally = tally;
    this.#options = options;
    this.#since = tally.now();
    tally.waiting += 1;
    tally.count(`call ${options.tool}`);
  }

  get answered(): boolean {
    return this.#answers > 0;
  }

  get options(): CallOptions {
    return this.#options;
  }

  /** True where the server's end accounts for what happens to the call. */
  get disturbed(): boolean {
    return this.#tally.disturbedSince(this.#since) || this.#options.outdated();
  }

  violation(problem: string): void {
    const { who, tool, id } = this.#options;
    this.#tally.violation(`${who}: ${tool} ${id}: ${problem}`);
  }

  progress(step: number): void {
    if (this.#answers > 0) this.violation(`progress ${step} after the answer`);
    if (step !== this.#progress + 1) this.violation(`progress ${step} after ${this.#progress}`);
    this.#progress = step;
    this.#tally.count('progress');
  }

  answer(message: Message): void {
    this.#answers += 1;
    if (this.#answers > 1) {
      this.violation(`answer number ${this.#answers}`);
      return;
    }
    const { args, denied, course } = this.#options;
    const { error, result } = message;
    if (error !== undefined) {
      const code = error.data?.code ?? String(error.code);
      if (denied && code === 'TOOL_DENIED') this.#tally.count('denied');
      else if (this.disturbed) this.#tally.count(`error ${code}`);
      else this.violation(`error without a cause: ${error.message}`);
      return;
    }
    if (denied) this.violation('a denied call was answered');
    const content = result?.content;
    const text = Array.isArray(content) ? content[0]?.text : undefined;
    if (text !== answerText(args)) this.violation(`a wrong answer: ${text ?? 'none'}`);
    if (this.#progress !== (args.steps ?? 0)) this.violation(`answered after ${this.#progress} of ${args.steps} steps`);
    this.#tally.count(course === 'cancels' ? 'answered though cancelled' : 'answered');
  }

  /** The last response in which an answer could have come has ended. */
  over(how: string): void {
    this.#tally.waiting -= 1;
    if (this.#answers > 0) return;
    this.#answers += 1;
    if (this.#options.course === 'cancels') this.#tally.count('cancelled');
    else if (how === 'session lost' && this.disturbed) this.#tally.count('error HTTP 404');
    else this.violation(`no answer (${how})`);
  }
}
