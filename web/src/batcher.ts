// Gathers what comes fast and hands it on at most every `intervalMs`; keeps the newest `most`.
export interface Clock {
  now(): number;
  later(run: () => void, ms: number): unknown;
  cancel(handle: unknown): void;
}

export const kRealClock: Clock = {
  now: () => performance.now(),
  later: (run, ms) => setTimeout(run, ms),
  cancel: (handle) => clearTimeout(handle as number),
};

export class Batcher<T> {
  private waiting: T[] = [];
  private dropped = 0;
  private last = -Infinity;
  private timer: unknown = null;

  constructor(private readonly flush: (items: T[], dropped: number) => void, private readonly intervalMs = 250,
      private readonly most = 200, private readonly clock: Clock = kRealClock) {}

  push(items: readonly T[], alsoDropped = 0): void {
    this.dropped += alsoDropped;
    this.waiting.push(...items);
    const over = this.waiting.length - this.most;
    if (over > 0) {
      this.waiting.splice(0, over);
      this.dropped += over;
    }
    if (this.timer !== null) return;
    const wait = this.last + this.intervalMs - this.clock.now();
    if (wait <= 0) this.run();
    else this.timer = this.clock.later(() => this.run(), wait);
  }

  close(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
    this.waiting = [];
  }

  private run(): void {
    this.timer = null;
    this.last = this.clock.now();
    const items = this.waiting;
    const dropped = this.dropped;
    this.waiting = [];
    this.dropped = 0;
    if (items.length > 0 || dropped > 0) this.flush(items, dropped);
  }
}
