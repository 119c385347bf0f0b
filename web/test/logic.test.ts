import assert from 'node:assert/strict';
import {test} from 'node:test';
import {urlOf} from '../src/api';
import {readable} from '../src/dom';
import {escapeMarkdown} from '../src/format';
import {hashOf, parseHash} from '../src/router';
import {compare} from '../src/virtual_table';

test('addresses survive names with any characters', () => {
  const route = parseHash(hashOf('decisions', ['shop/web 1', 'é?#'], {price: '300'}));
  assert.deepEqual(route.path, ['shop/web 1', 'é?#']);
  assert.equal(route.view, 'decisions');
  assert.equal(route.query.get('price'), '300');
  assert.equal(parseHash('').view, 'now');
  assert.deepEqual(parseHash('#/x/%zz').path, ['%zz']);
});

test('requests are relative and leave out what is empty', () => {
  assert.equal(urlOf('ranking', {cpu: 2, objective: '', gpus: null, by: 'a,b'}), 'api/v1/ranking?cpu=2&by=a%2Cb');
  assert.equal(urlOf('overview'), 'api/v1/overview');
});

test('what is unknown sorts last, up and down', () => {
  for (const sign of [1, -1] as const) {
    const sorted = [2, null, 10, 1].sort((a, b) => compare(a, b, sign));
    assert.equal(sorted[3], null);
    assert.deepEqual(sorted.slice(0, 3), sign === 1 ? [1, 2, 10] : [10, 2, 1]);
  }
  assert.ok(compare('node-2', 'node-10', 1) < 0);
});

test('a name cannot be read as another', () => {
  assert.equal(readable('a\u202eb\u200bc\u001bd\u2066'), 'a\ufffdb\ufffdc\ufffdd\ufffd');
  assert.equal(readable('modèle 7b – 1\u00a0000\u202f€ …'), 'modèle 7b – 1\u00a0000\u202f€ …');
});

test('a name stays text in Markdown', () => {
  assert.equal(escapeMarkdown('](x) <img src=y>\n# `a` &b'), '\\]\\(x\\) &lt;img src=y&gt; \\# \\`a\\` &amp;b');
  assert.equal(escapeMarkdown('llama-3.1-8b'), 'llama-3.1-8b');
});
