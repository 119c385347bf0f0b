import {get, type Policy, type PolicyEntry} from '../api';
import {h, replace} from '../dom';
import {dateTime} from '../format';
import {t} from '../i18n';
import {every} from '../poll';
import {chip, loading, plainTable, said, section, showFailure} from '../ui';
import type {Context, View} from '../view';

const kPolicyMs = 15000;

function originName(origin: string): string {
  switch (origin) {
    case 'default': return t('origin.default');
    case 'cluster': return t('origin.cluster');
    case 'namespace': return t('origin.namespace');
    case 'pod': return t('pod');
    default: return origin;
  }
}

function entries(caption: string, list: readonly PolicyEntry[], testId: string): HTMLElement {
  return plainTable(caption, [
    {title: t('policy.key'), cell: (e) => h('code', {}, e.key)},
    {title: t('value'), cell: (e) => e.value || '–'},
    {title: t('policy.saidBy'), cell: (e) => originName(e.origin)},
    {title: t('policy.kind'), cell: (e) => [e.hard ? chip(t('policy.hard'), 'warning') : chip(t('policy.preference')), e.enforced ? [' ', chip(t('policy.enforced'), 'good')] : null]},
  ], list, testId);
}

function show(root: HTMLElement, policy: Policy): void {
  replace(root,
    section(t('policy.cluster'), h('p', {}, t('policy.mode'), ' ', chip(policy.mode)), entries(t('policy.cluster'), policy.cluster, 'policy-cluster')),
    section(t('policy.gates', {n: policy.gates.length}), policy.gates.length === 0 ? h('p', {class: 'hint'}, t('policy.noGates')) : plainTable(t('policy.waiting'), [
      {title: t('pod'), cell: (g) => `${g.namespace}/${g.pod}`}, {title: t('policy.since'), cell: (g) => dateTime(g.since)},
      {title: t('policy.until'), cell: (g) => dateTime(g.until)}, {title: t('policy.condition'), cell: (g) => said(g.condition)}, {title: t('policy.state'), cell: (g) => said(g.state)},
    ], policy.gates, 'gates')),
    section(t('policy.namespaces', {n: policy.namespaces.length}), policy.namespaces.length === 0 ? h('p', {class: 'hint'}, t('policy.noNamespaces')) : policy.namespaces.map((ns) =>
      h('article', {class: 'namespace', 'data-testid': 'namespace'}, h('h3', {}, ns.namespace, ns.team ? h('span', {class: 'hint'}, ` ${t('team')} ${ns.team}`) : null),
        ns.problems.map((problem) => h('p', {class: 'warning warning-warning'}, said(problem))), entries(t('policy.of', {name: ns.namespace}), ns.entries, 'policy-namespace')))));
}

function mount(context: Context): void {
  replace(context.root, loading());
  let last = '';
  every(kPolicyMs, context.signal, async () => {
    try {
      const policy = await get<Policy>('policy', {}, context.signal);
      const text = JSON.stringify(policy);
      if (text !== last) show(context.root, policy);
      last = text;
    } catch (error) {
      last = '';
      showFailure(context.root, error);
    }
  });
}

export const policy: View = {id: 'policy', name: 'nav.policy', mount};
