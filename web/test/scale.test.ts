import assert from 'node:assert/strict';
import {test} from 'node:test';
import {extentOf, frontLine, kMostCarbonPrice, padded, positionOf, priceAt, project, sparkPath, stepAt, ticks} from '../src/charts/scale';

test('an extent leaves out what is unknown', () => {
  assert.deepEqual(extentOf([null, 3, NaN, 1]), {min: 1, max: 3});
  assert.equal(extentOf([null]), null);
});

test('room around an extent never goes below 0 where values do not', () => {
  assert.equal(padded({min: 0.01, max: 10}).min, 0);
  assert.ok(padded({min: -1, max: 10}).min < -1);
  const same = padded({min: 5, max: 5});
  assert.ok(same.min < 5 && same.max > 5);
});

test('projection is linear, and in the middle where all is the same', () => {
  assert.equal(project(5, {min: 0, max: 10}, {min: 100, max: 0}), 50);
  assert.equal(project(7, {min: 7, max: 7}, {min: 0, max: 10}), 5);
});

test('ticks are round and inside', () => {
  assert.deepEqual(ticks({min: 0, max: 10}, 5), [0, 2, 4, 6, 8, 10]);
  for (const tick of ticks({min: 0.013, max: 0.087}, 5)) assert.ok(tick >= 0.013 && tick <= 0.0871);
  assert.deepEqual(ticks({min: 4, max: 4}, 5), [4]);
});

test('the slider of the carbon price reaches both ends and comes back', () => {
  assert.equal(priceAt(0), 0);
  assert.equal(priceAt(1), kMostCarbonPrice);
  assert.equal(positionOf(0), 0);
  assert.equal(positionOf(kMostCarbonPrice), 1);
  assert.equal(positionOf(1e9), 1);
  for (const price of [1, 7, 50, 300, 1500]) assert.ok(Math.abs(priceAt(positionOf(price)) - price) <= price * 0.05, String(price));
  let last = -1;
  for (let i = 0; i <= 100; ++i) {
    assert.ok(priceAt(i / 100) >= last);
    last = priceAt(i / 100);
  }
});

test('the step that holds is the last that began', () => {
  const steps = [{from: 0, node: 'a'}, {from: 23.4, node: 'b'}, {from: 410, node: 'c'}];
  assert.equal(stepAt(steps, 0)?.node, 'a');
  assert.equal(stepAt(steps, 23.4)?.node, 'b');
  assert.equal(stepAt(steps, 1000)?.node, 'c');
  assert.equal(stepAt([{from: 5, node: 'x'}], 1), null);
});

test('the front is drawn as steps and leaves out what is beaten', () => {
  const line = frontLine([{x: 3, y: 1}, {x: 1, y: 5}, {x: 2, y: 6}, {x: 2, y: 3}]);
  assert.deepEqual(line, [{x: 1, y: 5}, {x: 2, y: 5}, {x: 2, y: 3}, {x: 3, y: 3}, {x: 3, y: 1}]);
});

test('a sparkline has gaps where values are unknown', () => {
  const path = sparkPath([1, 2, null, 3, 4], 100, 20);
  assert.equal(path.match(/M/g)?.length, 2);
  assert.equal(sparkPath([null, null], 100, 20), '');
});
