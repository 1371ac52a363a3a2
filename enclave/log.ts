// SPDX-License-Identifier: Apache-2.0
/**
 * What the gateway says on standard error, as text for people or JSON for machines. Events have a fixed set of fields;
 * none of them can hold a payload or a raw tool name. Lines that the reader does not take in time are dropped, so that
 * a client which ignores standard error never stops the gateway.
 */
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import pino from 'pino';
import type { Direction, RowDecision } from '../shared/audit/row.ts';
import type { ErrorCode } from '../shared/errors.ts';

/** Bytes of log output that may wait for a slow reader. */
const LOG_BUFFER_BYTES_MAX = 1024 * 1024;

export interface DecisionEvent {
  readonly dir: Direction;
  readonly server: string;
  /** A method that some revision defines, or its label. */
  readonly method: string;
  /** `tool#` label. */
  readonly tool: string | null;
  readonly decision: RowDecision;
  readonly rule: string | null;
  readonly code: string | null;
  readonly reason: string;
}

export interface Log {
  decision(event: DecisionEvent): void;
  info(message: string): void;
  warn(code: ErrorCode | null, message: string, hint: string | null): void;
  error(code: ErrorCode | null, message: string, hint: string | null): void;
  /** One line of an upstream's standard error, already sanitised. */
  upstream(server: string, line: string): void;
  /** Gives the last lines a moment to leave. */
  flush(): Promise<void>;
}

export type LogFormat = 'text' | 'json';

/** Milliseconds that the last lines may take to leave. */
const LOG_FLUSH_MS_MAX = 500;

interface Sink {
  readonly write: (text: string) => void;
  readonly flush: () => Promise<void>;
}

/**
 * Standard error that never blocks: Node's own writes to a pipe wait for the reader, and a client that never reads it
 * would stop the gateway.
 */
function openSink(): Sink {
  const file = fstatSync(2);
  const stream: Writable = file.isFIFO() || file.isSocket() ? new Socket({ fd: 2, readable: false, writable: true }) : process.stderr;
  // A reader that went away must not end the gateway.
  stream.on('error', () => undefined);
  return {
    write: (text) => {
      if (!stream.destroyed && stream.writableLength < LOG_BUFFER_BYTES_MAX) stream.write(text);
    },
    flush: () =>
      new Promise((resolve) => {
        setTimeout(resolve, LOG_FLUSH_MS_MAX).unref();
        if (stream.destroyed) resolve();
        else stream.write('', () => resolve());
      }),
  };
}

function decisionLine(event: DecisionEvent): string {
  const subject = event.tool === null ? event.method : `${event.method} ${event.tool}`;
  return `${event.dir} ${subject} → ${event.decision}: ${event.reason}\n`;
}

/** @param several more than one server is configured: each decision then names its own */
function textLog(sink: Sink, several: boolean): Log {
  const talk = (level: string, message: string, hint: string | null): void => {
    sink.write(`mcp-bastion: ${level}${message}\n${hint === null ? '' : `hint: ${hint}\n`}`);
  };
  return {
    decision: (event) => sink.write(several ? `[${event.server}] ${decisionLine(event)}` : decisionLine(event)),
    info: (message) => talk('', message, null),
    warn: (_code, message, hint) => talk('warning: ', message, hint),
    error: (_code, message, hint) => talk('error: ', message, hint),
    upstream: (server, line) => sink.write(`[${server}] ${line}\n`),
    flush: sink.flush,
  };
}

function jsonLog(sink: Sink): Log {
  const logger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, sink);
  return {
    decision: ({ dir, server, method, tool, decision, rule, code, reason }) =>
      logger.info({ event: 'decision', dir, server, method, tool, decision, rule, code, reason }),
    info: (message) => logger.info({ event: 'info' }, message),
    warn: (code, message, hint) => logger.warn({ event: 'warning', code, hint }, message),
    error: (code, message, hint) => logger.error({ event: 'error', code, hint }, message),
    upstream: (server, line) => logger.info({ event: 'upstream', server, line }),
    flush: sink.flush,
  };
}

/** The log on standard error. `several`: more than one server is configured. */
export function createLog(format: LogFormat, several = false): Log {
  return format === 'text' ? textLog(openSink(), several) : jsonLog(openSink());
}
