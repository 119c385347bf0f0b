import assert from 'node:assert/strict';
import {test} from 'node:test';
import {dictionaries, setLanguage, t, type Key} from '../src/i18n';
import {pickLanguage} from '../src/settings';

const keys = Object.keys(dictionaries.en) as Key[];
const placeholders = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

test('both languages say the same keys with the same places to fill in', () => {
  assert.deepEqual(Object.keys(dictionaries.fr).sort(), [...keys].sort());
  for (const key of keys) {
    assert.ok(dictionaries.en[key].trim() && dictionaries.fr[key].trim(), key);
    assert.deepEqual(placeholders(dictionaries.fr[key]), placeholders(dictionaries.en[key]), key);
    assert.equal(dictionaries.fr[key].split('|').length, dictionaries.en[key].split('|').length, key);
  }
});

test('singular and plural are chosen by the language', () => {
  setLanguage('en');
  assert.equal(t('regions.nodes', {n: 1}), '1 node');
  assert.equal(t('regions.nodes', {n: 0}), '0 nodes');
  setLanguage('fr');
  assert.equal(t('regions.nodes', {n: 0}), '0 nœud');
  assert.equal(t('regions.nodes', {n: 2}), '2 nœuds');
  setLanguage('en');
});

test('the language: what was chosen, then what the browser prefers, then English', () => {
  assert.equal(pickLanguage('fr', ['en']), 'fr');
  assert.equal(pickLanguage(null, ['de', 'fr-CA', 'en']), 'fr');
  assert.equal(pickLanguage('xx', ['de']), 'en');
});
