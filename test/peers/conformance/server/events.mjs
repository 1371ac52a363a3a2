// SPDX-License-Identifier: Apache-2.0
/**
 * What the resumable streams of one session have sent, so that a client can go on after a cut (2025-11-25, transports,
 * resumability). Ids name their stream; the oldest events are forgotten.
 */
const EVENTS_MAX = 2000;

export class Events {
  #events = [];
  #count = 0;

  async storeEvent(streamId, message) {
    this.#count += 1;
    const eventId = `${this.#count}_${streamId}`;
    this.#events.push({ eventId, streamId, message });
    if (this.#events.length > EVENTS_MAX) this.#events.shift();
    return eventId;
  }

  async getStreamIdForEventId(eventId) {
    return this.#events.find((event) => event.eventId === eventId)?.streamId;
  }

  async replayEventsAfter(lastEventId, { send }) {
    const at = this.#events.findIndex((event) => event.eventId === lastEventId);
    if (at === -1) throw new Error('the event is not known any more');
    const { streamId } = this.#events[at];
    for (const event of this.#events.slice(at + 1)) {
      // A priming event has no message; it only marks a place.
      if (event.streamId === streamId && 'jsonrpc' in event.message) await send(event.eventId, event.message);
    }
    return streamId;
  }
}
