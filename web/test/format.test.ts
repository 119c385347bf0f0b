import assert from 'node:assert/strict';
import {test} from 'node:test';
import {age, euros, grams, gramsRange, intensity, kilowattHours, kUnknown, number, percent, signedPercent, times, unitsTold, wattHours, whole} from '../src/format';
import {setLanguage} from '../src/i18n';

const plain = (text: string): string => text.replace(/[\u00a0\u202f]/g, ' ');

test('unknown is a dash and never 0', () => {
  for (const text of [number(null), whole(undefined), percent(NaN), signedPercent(null), grams(null), wattHours(null), kilowattHours(null),
                      euros(null), euros(times(null, 1e6)), intensity(Infinity), age('', 0)])
    assert.equal(text, kUnknown);
  assert.equal(gramsRange(1, null), '');
});

test('grams choose the unit in which they read well', () => {
  setLanguage('en');
  assert.equal(plain(grams(1.56e-6)), '1.56 µgCO₂e');
  assert.equal(plain(grams(0)), '0 gCO₂e');
  assert.equal(plain(grams(999.7)), '1 kgCO₂e');
  assert.equal(plain(grams(-183000)), '-183 kgCO₂e');
  assert.equal(plain(grams(2.5e6, '/h')), '2.5 tCO₂e/h');
  assert.equal(plain(gramsRange(900, 2100)), '0.9–2.1 kgCO₂e');
});

test('energy', () => {
  setLanguage('en');
  assert.equal(plain(kilowattHours(12.34)), '12.3 kWh');
  assert.equal(plain(kilowattHours(0.0004)), '400 mWh');
});

test('euros', () => {
  setLanguage('en');
  assert.equal(euros(12.345), '€12.35');
  assert.equal(euros(0.0312), '€0.0312');
  assert.equal(euros(12345.6), '€12,346');
});

test('numbers follow the language', () => {
  setLanguage('fr');
  assert.equal(plain(number(1234567)), '1 234 567');
  assert.equal(plain(euros(12.5)), '12,50 €');
  assert.equal(plain(percent(0.834)), '83 %');
  setLanguage('en');
  assert.equal(number(1234567), '1,234,567');
  assert.equal(signedPercent(-0.186), '-19%');
  assert.equal(signedPercent(0.012), '+1.2%');
});

test('ages', () => {
  setLanguage('en');
  const now = Date.parse('2026-11-25T12:00:00Z');
  assert.match(age('2026-11-25T11:58:00Z', now), /^2 min/);
  assert.match(age('2026-11-25T15:00:00Z', now), /^in 3 h/);
});

test('figures that stand side by side are of as many units', () => {
  assert.equal(unitsTold('request', [6.86e-7]), 1e6);
  assert.equal(euros(times(6.86e-7, 1e6)), '€0.686');
  assert.equal(unitsTold('1k-tokens', [4e-5]), 1e3);
  assert.equal(unitsTold('request', [6.86e-7, 0.4]), 1, 'of a table, that of its largest');
  assert.equal(unitsTold('pod-hour', [1e-5]), 1);
  assert.equal(unitsTold('request', [null, undefined, 0]), 1);
});
