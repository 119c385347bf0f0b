import {get, type Finding, type Signals} from '../api';
import {h, replace, setText} from '../dom';
import {age, euros, known, number, percent, whole} from '../format';
import {t} from '../i18n';
import {every} from '../poll';
import {chip, loading, plainTable, said, section, showFailure} from '../ui';
import type {Context, View} from '../view';

const kSignalsMs = 10000;
const kWorst = ['error', 'warning', 'note', 'ok'];

function severityName(severity: string): string {
  switch (severity) {
    case 'error': return t('severity.error');
    case 'warning': return t('severity.warning');
    case 'note': return t('severity.note');
    case 'ok': return t('severity.ok');
    default: return severity;
  }
}

function findings(list: readonly Finding[]): HTMLElement {
  const sorted = [...list].sort((a, b) => kWorst.indexOf(a.severity) - kWorst.indexOf(b.severity));
  return h('ul', {class: 'findings', 'data-testid': 'findings'}, sorted.map((finding) =>
    h('li', {class: `finding finding-${finding.severity}`, 'data-testid': 'finding', 'data-severity': finding.severity},
      h('span', {class: 'finding-severity'}, severityName(finding.severity)),
      h('div', {}, h('p', {}, h('code', {}, finding.about), ' ', said(finding.text)),
        finding.repair ? h('p', {class: 'hint'}, t('signals.repair'), ' ', said(finding.repair)) : null))));
}

type Server = Signals['servers'][number];

function server(each: Server, now: number): HTMLElement {
  const found = each.presets.filter((preset) => preset.found);
  return h('article', {class: 'namespace', 'data-testid': 'server'}, h('h3', {}, each.name, ' ', h('span', {class: 'hint'}, each.url)),
    each.problem ? h('p', {class: 'warning warning-error'}, said(each.problem)) : null,
    h('p', {class: 'hint'}, t('signals.clock', {seconds: number(each.clockAheadSeconds)}), ' · ', t('signals.presets', {found: found.length, all: each.presets.length})),
    h('div', {class: 'chips'}, found.map((preset) => {
      const item = chip(preset.name, 'good');
      item.title = preset.about;
      return item;
    })),
    plainTable(t('signals.queriesOf', {name: each.name}), [
      {title: t('signal'), cell: (q) => [h('code', {}, q.signal), h('span', {class: 'hint block'}, q.source)]},
      {title: t('signals.answered'), cell: (q) => q.idle ? t('signals.idle') : age(q.answered, now)},
      {title: 'ms', isNumber: true, cell: (q) => whole(q.milliseconds)},
      {title: t('signals.series'), isNumber: true, cell: (q) => whole(q.series)},
      {title: t('signals.failures'), isNumber: true, cell: (q) => whole(q.failures)},
      {title: t('signals.query'), cell: (q) => [h('code', {class: 'query'}, q.query), q.problem ? h('span', {class: 'hint block problem'}, said(q.problem)) : null]},
    ], each.queries, 'queries'));
}

function show(root: HTMLElement, signals: Signals): void {
  const now = Date.now();
  const seen = signals.signals.filter((each) => each.newest || each.used + each.stale + each.implausible + each.unmatched + each.foreign > 0);
  const unseen = signals.signals.filter((each) => !seen.includes(each));
  const other = (each: Signals['signals'][number]): number => each.reset + each.foreign + each.superseded + each.duplicate;
  replace(root,
    section(t('signals.findings'), findings(signals.findings)),
    section(t('signals.values'), plainTable(t('signals.values'), [
      {title: t('signal'), cell: (each) => h('code', {}, each.signal)}, {title: t('unitColumn'), cell: (each) => each.unit === '1' ? '–' : each.unit},
      {title: t('signals.used'), isNumber: true, cell: (each) => whole(each.used)}, {title: t('signals.stale'), isNumber: true, cell: (each) => whole(each.stale)},
      {title: t('signals.implausible'), isNumber: true, cell: (each) => whole(each.implausible)}, {title: t('signals.unmatched'), isNumber: true, cell: (each) => whole(each.unmatched)},
      {title: t('signals.other'), isNumber: true, cell: (each) => whole(other(each))}, {title: t('signals.newest'), cell: (each) => age(each.newest, now)}, {title: t('signals.oldest'), cell: (each) => age(each.oldest, now)},
    ], seen, 'signals'), unseen.length > 0 ? h('p', {class: 'hint'}, t('signals.unseen'), ' ', unseen.map((each, i) => [i > 0 ? ', ' : '', h('code', {}, each.signal)])) : null),
    section(t('signals.servers', {n: signals.servers.length}), signals.servers.length === 0 ? h('p', {class: 'hint'}, t('signals.noServers')) : signals.servers.map((each) => server(each, now))),
    section(t('signals.places'), plainTable(t('signals.places'), [
      {title: t('nodes.region'), cell: (p) => `${p.provider} ${p.region}`}, {title: t('signals.zone'), cell: (p) => p.zone},
      {title: t('signals.liveIntensity'), isNumber: true, cell: (p) => number(p.liveGco2ePerKwh)}, {title: t('signals.catalogueIntensity'), isNumber: true, cell: (p) => number(p.catalogueGco2ePerKwh)},
      {title: '€/kWh', isNumber: true, cell: (p) => euros(p.electricityEurPerKwh)},
    ], signals.places, 'places')),
    signals.calibration.length === 0 ? null : section(t('signals.calibration'), plainTable(t('signals.calibration'), [
      {title: t('signals.machine'), cell: (c) => [c.machine, h('span', {class: 'hint block'}, said(c.boundary))]}, {title: t('signals.points'), isNumber: true, cell: (c) => whole(c.points)},
      {title: t('nodes.count.short'), isNumber: true, cell: (c) => whole(c.nodes)}, {title: t('signals.idleWatts'), isNumber: true, cell: (c) => number(c.idleWatts)},
      {title: t('signals.fullWatts'), isNumber: true, cell: (c) => number(c.fullWatts)}, {title: t('signals.error'), isNumber: true, cell: (c) => known(c.error) ? `± ${percent(c.error)}` : '–'},
      {title: t('signals.inUse'), cell: (c) => c.used ? t('yes') : [t('no'), ' ', said(c.whyNot)]},
    ], signals.calibration, 'calibration')));
}

function mount(context: Context): void {
  const fresh = h('p', {class: 'hint'});
  const body = h('div', {}, loading());
  replace(context.root, fresh, body);
  every(kSignalsMs, context.signal, async () => {
    try {
      const signals = await get<Signals>('signals', {}, context.signal);
      setText(fresh, t('signals.asOf', {age: age(signals.time, Date.now())}));
      // Not under a reader's hands: who stands in a table keeps it.
      if (!body.contains(document.activeElement)) show(body, signals);
    } catch (error) {
      showFailure(body, error);
    }
  });
}

export const signals: View = {id: 'signals', name: 'nav.signals', mount};
