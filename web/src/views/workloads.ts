// Workloads, and models: the same figures by another key.
import {get, type Workload, type Workloads} from '../api';
import {badge, sparkline} from '../charts/small';
import {h, replace, setText} from '../dom';
import {day, euros, grams, gramsRange, kilowattHours, percent, signedPercent} from '../format';
import {t} from '../i18n';
import {debounce, every, newest} from '../poll';
import {hashOf, rememberInHash} from '../router';
import {field, figure, said, section, select, showFailure} from '../ui';
import {onLeave, type Context, type View} from '../view';
import {VirtualTable, type TableColumn} from '../virtual_table';
import {mountWorkload} from './workload';

const kListMs = 30000;

export type By = 'workload' | 'model';

export const nameOf = (w: Workload, by: By): string => by === 'model' ? w.model : w.workload;
export const pathOf = (w: Workload, by: By): string[] => by === 'model' ? [w.model] : [w.namespace, w.workload];
const viewOf = (by: By): string => by === 'model' ? 'models' : 'workloads';

function columns(by: By): TableColumn<Workload>[] {
  const perUnit = (w: Workload) => w.perThousandTokens ?? w.perRequest;
  const unit = (w: Workload): string => w.perThousandTokens ? t('unit.tokens') : w.perRequest ? t('unit.request') : '';
  const all: (TableColumn<Workload> | null)[] = [
    {key: 'name', title: by === 'model' ? t('model') : t('workload'), order: (w) => nameOf(w, by),
     cell: (w) => [h('a', {href: hashOf(viewOf(by), pathOf(w, by))}, nameOf(w, by) || t('unnamed')), by === 'workload' ? h('span', {class: 'hint block'}, [w.namespace, w.team, w.kind === 'run' ? t('kind.run') : ''].filter(Boolean).join(' · ')) : null]},
    {key: 'energyClass', title: t('energyClass'), cell: (w) => badge(w.energyClass, 'energy'), order: (w) => w.energyClass},
    {key: 'carbonClass', title: t('carbonClass'), cell: (w) => badge(w.carbonClass, 'carbon'), order: (w) => w.carbonClass},
    {key: 'gco2e', title: 'CO₂e', isNumber: true, order: (w) => w.gco2e, raw: (w) => w.gco2e,
     cell: (w) => [figure('gco2e', w.gco2e, grams(w.gco2e)), h('span', {class: 'hint block'}, gramsRange(w.lowGco2e, w.highGco2e))]},
    {key: 'eur', title: t('euros'), isNumber: true, cell: (w) => figure('eur', w.eur, euros(w.eur)), order: (w) => w.eur, raw: (w) => w.eur},
    {key: 'energy', title: t('energy'), isNumber: true, cell: (w) => figure('energy', w.energyKwh, kilowattHours(w.energyKwh)), order: (w) => w.energyKwh, raw: (w) => w.energyKwh},
    {key: 'perUnit', title: t('perUnit'), isNumber: true, order: (w) => perUnit(w)?.gco2e ?? null, raw: (w) => perUnit(w)?.gco2e ?? null,
     cell: (w) => [figure('perUnit', perUnit(w)?.gco2e, grams(perUnit(w)?.gco2e)), h('span', {class: 'hint block'}, unit(w))]},
    {key: 'change', title: t('changeColumn'), isNumber: true, order: (w) => w.change?.gco2eShare ?? null, raw: (w) => w.change?.gco2eShare ?? null,
     cell: (w) => figure('change', w.change?.gco2eShare, signedPercent(w.change?.gco2eShare))},
    {key: 'measured', title: t('measured'), isNumber: true, cell: (w) => figure('measured', w.measuredShare, percent(w.measuredShare)), order: (w) => w.measuredShare, raw: (w) => w.measuredShare},
    {key: 'trend', title: t('trend'), cell: (w) => sparkline(w.trend.map((point) => point.gco2e), t('trendOf', {name: nameOf(w, by)}))},
  ];
  return all.filter((column): column is TableColumn<Workload> => column !== null);
}

export function daysSelect(days: string, onChange: (days: string) => void): HTMLElement {
  return field(t('period'), select([['1', t('days', {n: 1})], ['7', t('days', {n: 7})], ['30', t('days', {n: 30})]], days, onChange, 'days'));
}

function mountList(context: Context, by: By): void {
  const view = viewOf(by);
  const failure = h('div');
  const summary = h('p', {class: 'hint'});
  const notes = h('ul', {class: 'plain-list'});
  let days = context.route.query.get('days') ?? '7';
  let filter = '';
  let all: Workload[] = [];
  const table = new VirtualTable(columns(by), {
    caption: t(by === 'model' ? 'nav.models' : 'nav.workloads'), testId: view, rowHeight: 52, keyOf: (w) => pathOf(w, by).join('/'), sortBy: 'gco2e', descending: true,
    open: (w) => {
      location.hash = hashOf(view, pathOf(w, by));
    },
  });
  onLeave(context, () => table.destroy());
  const fill = (): void => table.set(all.filter((w) => `${w.namespace} ${w.workload} ${w.model} ${w.team}`.toLowerCase().includes(filter)));
  const apply = debounce(80, context.signal, fill);
  const search = h('input', {type: 'search', 'data-testid': 'workload-search', input: () => {
    filter = search.value.trim().toLowerCase();
    apply();
  }});
  const panel = section(t(by === 'model' ? 'models.title' : 'workloads.title'), h('p', {class: 'hint'}, t('ledger.reportIs')), h('div', {class: 'controls'}, daysSelect(days, (to) => {
    days = to;
    rememberInHash(view, [], {days});
    void load();
  }), field(t('search'), search)), summary, table.element, notes);
  replace(context.root, failure, panel);
  const next = newest(context.signal);
  const load = async (): Promise<void> => {
    const signal = next();
    try {
      const found = await get<Workloads>('workloads', {days, by}, signal);
      failure.replaceChildren();
      panel.hidden = false;
      all = found.workloads;
      setText(summary, [t('fromTo', {from: day(found.from), to: day(found.to)}), t('workloads.count', {n: all.length}), found.leftOff > 0 ? t('leftOff', {n: found.leftOff}) : ''].filter(Boolean).join(' · '));
      replace(notes, found.notes.map((note) => h('li', {}, said(note))));
      if (!table.element.contains(document.activeElement)) fill();
    } catch (error) {
      if (signal.aborted) return;
      panel.hidden = all.length === 0;
      showFailure(failure, error);
    }
  };
  every(kListMs, context.signal, load);
}

function viewBy(by: By): View {
  return {id: viewOf(by), name: by === 'model' ? 'nav.models' : 'nav.workloads', mount: (context) => {
    if (context.route.path.length > 0) mountWorkload(context, by);
    else mountList(context, by);
  }};
}

export const workloads = viewBy('workload');
export const models = viewBy('model');
