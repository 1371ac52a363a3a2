// SPDX-License-Identifier: Apache-2.0
/** An exchange between two lists of text, without processes: each step is taken by hand. */
import type { Recorder } from '../../enclave/audit/recorder.ts';
import { Exchange } from '../../enclave/exchange.ts';
import type { Clock } from '../../enclave/exchange/parts.ts';
import type { Log } from '../../enclave/log.ts';
import { emptyPinBook } from '../../enclave/pins/book.ts';
import { loadPolicy } from '../../enclave/policy/compile.ts';
import { Limiter } from '../../enclave/policy/limiter.ts';

const nothing = (): void => undefined;
const silent: Log = { decision: nothing, info: nothing, warn: nothing, error: nothing, upstream: nothing, flush: () => Promise.resolve() };

export interface Wires {
  readonly exchange: Exchange;
  readonly toClient: string[];
  readonly toServer: string[];
  readonly client: (text: string) => Promise<void>;
  readonly server: (text: string) => Promise<void>;
}

export async function wires(policyText: string, recorder: Recorder, clock: Clock): Promise<Wires> {
  const toClient: string[] = [];
  const toServer: string[] = [];
  let ids = 0;
  const exchange = new Exchange({
    server: 'peer',
    soleServer: true,
    principal: 'local',
    session: '0123456789abcdef',
    policies: { current: await loadPolicy(new TextEncoder().encode(policyText)) },
    recorder,
    limiter: new Limiter(),
    pins: emptyPinBook(),
    log: silent,
    clock,
    toClient: { send: (text) => Promise.resolve(void toClient.push(text)) },
    toServer: { send: (text) => Promise.resolve(void toServer.push(text)) },
    randomHex: (bytes) => (ids += 1).toString(16).padStart(bytes * 2, '0'),
  });
  const frame = (text: string) => ({ kind: 'frame', bytes: new TextEncoder().encode(text) }) as const;
  return {
    exchange,
    toClient,
    toServer,
    client: (text) => exchange.fromClient(frame(text)),
    server: (text) => exchange.fromServer(frame(text)),
  };
}

/** Resolves when everything that could happen by now has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
