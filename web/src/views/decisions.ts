import {get, type Decision} from '../api';
import {badge} from '../charts/small';
import {h, replace, setText} from '../dom';
import {clock, euros, grams, times, whole} from '../format';
import {t} from '../i18n';
import {identity} from '../identity';
import {debounce, every} from '../poll';
import {hashOf} from '../router';
import {chip, field, figure, said, showFailure} from '../ui';
import {onLeave, type Context, type View} from '../view';
import {VirtualTable, type TableColumn} from '../virtual_table';
import {mountDecision} from './decision';
import {ledgerName, notFollowed, objectiveName, perUnits, type Per} from './shared';

const kListMs = 5000;

// By its name where the namespace decides whether it may be seen.
const idOf = (decision: Decision): string => identity().namespace ? decision.pod : decision.uid || decision.pod;

const perOf = (d: Decision): Per => perUnits(d.unit, [d.placementEurPerUnit]);

function columns(): TableColumn<Decision>[] {
  const outcome = (d: Decision): HTMLElement | string =>
    d.shadow ? chip(t('shadow')) : d.followed === true ? chip(t('followed'), 'good') : d.followed === false ? notFollowed(d.bound) : '–';
  return [
    {key: 'time', title: t('time'), cell: (d) => h('time', {datetime: d.time}, clock(d.time)), order: (d) => d.seq},
    {key: 'pod', title: t('pod'), cell: (d) => h('a', {href: hashOf('decisions', [idOf(d)])}, d.pod), order: (d) => d.pod},
    {key: 'best', title: t('nodes.node'), cell: (d) => d.best || '–', order: (d) => d.best},
    {key: 'outcome', title: t('outcome'), cell: outcome, order: (d) => d.followed === null ? null : d.followed ? 1 : 0},
    {key: 'objective', title: t('objective'), cell: (d) => objectiveName(d.objective), order: (d) => d.objective},
    {key: 'candidates', title: t('candidates'), isNumber: true, cell: (d) => d.refused > 0 ? t('refusedOf', {n: d.refused, all: d.candidates}) : whole(d.candidates), order: (d) => d.candidates, raw: (d) => d.candidates},
    {key: 'eur', title: t('euros'), isNumber: true, cell: (d) => figure('eur', d.placementEurPerUnit, euros(times(d.placementEurPerUnit, perOf(d).units))), order: (d) => d.placementEurPerUnit, raw: (d) => d.placementEurPerUnit},
    {key: 'gco2e', title: 'CO₂e', isNumber: true, cell: (d) => figure('gco2e', d.placementGco2ePerUnit, grams(times(d.placementGco2ePerUnit, perOf(d).units))), order: (d) => d.placementGco2ePerUnit, raw: (d) => d.placementGco2ePerUnit},
    {key: 'per', title: t('ofWhat'), cell: (d) => h('span', {class: 'hint'}, `${perOf(d).name},`, h('br'), ledgerName(d.ledger)), order: (d) => d.unit},
    {key: 'class', title: t('carbonClass'), cell: (d) => d.carbonClass ? badge(d.carbonClass, 'carbon') : '–', order: (d) => d.carbonClass},
    {key: 'why', title: t('why'), cell: (d) => said(d.reason)},
  ];
}

function mountList(context: Context): void {
  const failure = h('div');
  const count = h('span', {class: 'hint'});
  let all: Decision[] = [];
  let filter = '';
  const table = new VirtualTable(columns(), {
    caption: t('decisions.caption'), testId: 'decisions', rowHeight: 40, keyOf: idOf, sortBy: 'time', descending: true,
    open: (decision) => {
      location.hash = hashOf('decisions', [idOf(decision)]);
    },
  });
  onLeave(context, () => table.destroy());
  const fill = (): void => {
    const words = filter.split(/\s+/).filter(Boolean);
    const rows = all.filter((d) => {
      const text = `${d.pod} ${d.best} ${d.bound} ${d.reason} ${d.objective} ${d.workload} ${d.model} ${d.refused > 0 ? 'refused' : ''}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    setText(count, t('decisions.count', {shown: whole(rows.length), all: whole(all.length)}));
    table.set(rows);
  };
  const apply = debounce(80, context.signal, fill);
  const search = h('input', {type: 'search', 'data-testid': 'decision-search', placeholder: t('decisions.searchHint'), input: () => {
    filter = search.value.trim().toLowerCase();
    apply();
  }});
  replace(context.root, failure, h('section', {class: 'panel'}, h('h2', {}, t('decisions.last')), h('p', {class: 'hint'}, t('ledger.about')), h('div', {class: 'controls'}, field(t('search'), search), count), table.element));
  every(kListMs, context.signal, async () => {
    try {
      all = await get<Decision[]>('decisions', {limit: 200}, context.signal);
      failure.replaceChildren();
      // A reader who goes through the rows is not disturbed by new ones.
      if (!table.element.contains(document.activeElement)) fill();
    } catch (error) {
      showFailure(failure, error);
    }
  });
}

function mount(context: Context): void {
  const id = context.route.path.join('/');
  if (id) mountDecision(context, id);
  else mountList(context);
}

export const decisions: View = {id: 'decisions', name: 'nav.decisions', mount};
