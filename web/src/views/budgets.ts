import {get, type Budgets} from '../api';
import {bar} from '../charts/small';
import {h, replace} from '../dom';
import {dateTime, euros, grams, gramsRange, known, percent} from '../format';
import {t} from '../i18n';
import {every} from '../poll';
import {chip, empty, figure, loading, section, showFailure} from '../ui';
import type {Context, View} from '../view';

const kBudgetsMs = 30000;

type Budget = Budgets['budgets'][number];

function stateChip(state: string): HTMLElement {
  if (state === 'exceeded') return chip(t('budgets.exceeded'), 'bad');
  if (state === 'warning') return chip(t('budgets.warning'), 'warning');
  return chip(t('budgets.ok'), 'good');
}

function budget(b: Budget): HTMLElement {
  const amount = (value: number | null): string => b.kind === 'eur' ? euros(value) : grams(value);
  const most = Math.max(b.limit, b.used, b.forecastHigh ?? 0, b.forecast ?? 0) * 1.05;
  const range = !known(b.forecastLow) || !known(b.forecastHigh) ? ''
      : b.kind === 'eur' ? `${euros(b.forecastLow)} – ${euros(b.forecastHigh)}` : gramsRange(b.forecastLow, b.forecastHigh);
  return h('article', {class: 'budget', 'data-testid': 'budget', 'data-budget': b.budget, 'data-kind': b.kind},
           h('header', {}, h('h3', {}, b.budget, ' ', h('span', {class: 'hint'}, b.kind === 'eur' ? t('euros') : 'CO₂e')), stateChip(b.state)),
           h('div', {class: 'budget-bar'}, bar(b.forecast, most, {kind: 'forecast', low: b.forecastLow, high: b.forecastHigh}), bar(b.used, most, {kind: b.kind === 'eur' ? 'euros' : 'grams', mark: b.limit})),
           h('dl', {class: 'facts'},
             h('dt', {}, t('budgets.used')), h('dd', {}, figure('used', b.used, amount(b.used)), ' ', h('span', {class: 'hint'}, percent(b.usedRatio))),
             h('dt', {}, t('budgets.limit')), h('dd', {}, figure('limit', b.limit, amount(b.limit))),
             h('dt', {}, t('budgets.forecast')), h('dd', {}, figure('forecast', b.forecast, amount(b.forecast)), range ? h('span', {class: 'hint'}, ` ${t('lowHigh')}: ${range}`) : null)));
}

function mount(context: Context): void {
  replace(context.root, loading());
  every(kBudgetsMs, context.signal, async () => {
    try {
      const found = await get<Budgets>('budgets', {}, context.signal);
      if (found.budgets.length === 0) replace(context.root, empty(t('budgets.none'), false));
      else replace(context.root, section(t('budgets.title', {month: found.month ?? '–'}), h('p', {class: 'hint'}, t('budgets.through', {time: dateTime(found.through)})), h('div', {class: 'budgets'}, found.budgets.map(budget))));
    } catch (error) {
      showFailure(context.root, error);
    }
  });
}

export const budgets: View = {id: 'budgets', name: 'nav.budgets', mount};
