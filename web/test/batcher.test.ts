import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Batcher, type Clock} from '../src/batcher';

class FakeClock implements Clock {
  time = 1000;
  waiting: {at: number; run: () => void}[] = [];
  now(): number {
    return this.time;
  }
  later(run: () => void, ms: number): unknown {
    const entry = {at: this.time + ms, run};
    this.waiting.push(entry);
    return entry;
  }
  cancel(handle: unknown): void {
    this.waiting = this.waiting.filter((entry) => entry !== handle);
  }
  advance(ms: number): void {
    this.time += ms;
    for (const entry of this.waiting.filter((each) => each.at <= this.time)) {
      this.cancel(entry);
      entry.run();
    }
  }
}

test('at most four flushes a second, nothing lost', () => {
  const clock = new FakeClock();
  const flushes: number[] = [];
  const batcher = new Batcher<number>((items) => flushes.push(items.length), 250, 200, clock);
  for (let i = 0; i < 100; ++i) {
    batcher.push([i]);
    clock.advance(10);
  }
  clock.advance(250);
  assert.ok(flushes.length <= 6, String(flushes.length));
  assert.equal(flushes.reduce((a, b) => a + b, 0), 100);
});

test('what is over the bound is dropped, oldest first, and counted', () => {
  const clock = new FakeClock();
  const seen: {items: number[]; dropped: number}[] = [];
  const batcher = new Batcher<number>((items, dropped) => seen.push({items, dropped}), 250, 3, clock);
  batcher.push([1, 2, 3, 4, 5], 10);
  assert.deepEqual(seen, [{items: [3, 4, 5], dropped: 12}]);
});

test('closed, it hands nothing on', () => {
  const clock = new FakeClock();
  let flushes = 0;
  const batcher = new Batcher<number>(() => ++flushes, 250, 3, clock);
  batcher.push([1]);
  batcher.push([2]);
  batcher.close();
  clock.advance(1000);
  assert.equal(flushes, 1);
});
