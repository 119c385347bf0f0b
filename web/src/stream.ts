// Decisions as they come: server-sent events, or asking every two seconds where there are too many
// listeners. Nothing is open while the page is hidden; what was missed is fetched after.
import {get, urlOf, type Decision, type DecisionBatch, type Outcome} from './api';
import {Batcher} from './batcher';
import {identity} from './identity';

export type FeedState = 'connecting' | 'live' | 'polling' | 'lost' | 'paused';
export interface FeedListener {
  decisions(newer: Decision[], skipped: number): void;  // oldest first
  outcomes(outcomes: Outcome[]): void;
  state(state: FeedState): void;
}

const kPollMs = 2000;
const kRetryMs = 3000;
const kStreamAgainMs = 60000;

export class DecisionFeed {
  private source: EventSource | null = null;
  private timer = 0;
  private lastSeq = -1;
  private pollingSince = 0;
  private closed = false;
  private readonly abort = new AbortController();
  private readonly batcher: Batcher<Decision>;
  private readonly onVisibility = (): void => {
    if (document.hidden) this.pause();
    else void this.start();
  };

  constructor(private readonly listener: FeedListener) {
    this.batcher = new Batcher<Decision>((items, dropped) => listener.decisions(items, dropped));
    document.addEventListener('visibilitychange', this.onVisibility);
    if (!document.hidden) void this.start();
  }

  close(): void {
    this.closed = true;
    this.pause();
    this.batcher.close();
    this.abort.abort();
    document.removeEventListener('visibilitychange', this.onVisibility);
  }

  private pause(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    if (!this.closed) this.listener.state('paused');
  }

  private async start(): Promise<void> {
    clearTimeout(this.timer);
    this.listener.state('connecting');
    const answered = await this.catchUp(true);
    if (this.closed || document.hidden) return;
    if (!answered) this.startLater('lost');
    else if (identity().token) this.startToPoll();  // an EventSource carries no token
    else this.connect();
  }

  private startLater(state: FeedState): void {
    this.listener.state(state);
    this.timer = window.setTimeout(() => void this.start(), kRetryMs);
  }

  // True where the server answered. Numbers begin again when the service does: looked for only where
  // no stream can have been faster than the answer.
  private async catchUp(mayBeginAgain: boolean): Promise<boolean> {
    try {
      const newest = await get<Decision[]>('decisions', {limit: 200}, this.abort.signal);
      const first = newest[0];
      if (mayBeginAgain && first && first.seq < this.lastSeq) this.lastSeq = -1;
      // What became of those that are shown already.
      this.listener.outcomes(newest.filter((decision) => decision.followed !== null)
          .map((decision) => ({uid: decision.uid, node: decision.bound, followed: decision.followed === true})));
      this.take(newest.reverse(), 0);
      return true;
    } catch {
      return false;
    }
  }

  private take(oldestFirst: Decision[], skipped: number): void {
    const newer = oldestFirst.filter((decision) => decision.seq > this.lastSeq);
    const last = newer[newer.length - 1];
    if (last) this.lastSeq = last.seq;
    if (newer.length > 0 || skipped > 0) this.batcher.push(newer, skipped);
  }

  private connect(): void {
    this.source?.close();
    const source = new EventSource(urlOf('stream'));
    this.source = source;
    source.addEventListener('open', () => {
      this.listener.state('live');
      // What was decided between the last answer and now.
      void this.catchUp(false);
    });
    source.addEventListener('decisions', (event) => {
      const batch = JSON.parse((event as MessageEvent<string>).data) as DecisionBatch;
      this.take(batch.decisions, batch.skipped);
    });
    source.addEventListener('outcomes', (event) =>
      this.listener.outcomes(JSON.parse((event as MessageEvent<string>).data) as Outcome[]));
    source.addEventListener('error', () => {
      const refused = source.readyState === EventSource.CLOSED;
      source.close();
      if (this.source !== source) return;
      this.source = null;
      if (refused) {
        // 503: it has enough listeners.
        this.startToPoll();
      } else {
        this.startLater('connecting');
      }
    });
  }

  private startToPoll(): void {
    this.pollingSince = performance.now();
    void this.poll();
  }

  private async poll(): Promise<void> {
    clearTimeout(this.timer);
    const answered = await this.catchUp(true);
    if (this.closed || document.hidden) return;
    this.listener.state(answered ? 'polling' : 'lost');
    const again = !identity().token && (performance.now() - this.pollingSince > kStreamAgainMs || !answered);
    this.timer = window.setTimeout(() => answered && again ? this.connect() : void this.poll(),
        answered ? kPollMs : kRetryMs);
  }
}
