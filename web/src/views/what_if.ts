// What another carbon price or objective would have done: asked of the server, which decides again
// on the same snapshot.
import {encodePath, get, type DecisionDetail, type FullDecision, type Step, type WhatIf} from '../api';
import {kMostCarbonPrice, positionOf, priceAt, stepAt} from '../charts/scale';
import {h, replace, setText} from '../dom';
import {euros, grams, number, times} from '../format';
import {t} from '../i18n';
import {debounce} from '../poll';
import {rememberInHash} from '../router';
import {chip, field, figure, plainTable, said, section, select, showFailure} from '../ui';
import type {Context} from '../view';
import {objectiveOptions, someOf, type Per} from './shared';

const kRows = 50;
const kPositions = 1000;
const kWaitMs = 200;

function tickMarks(steps: readonly Step[], price: number, go: (price: number) => void): HTMLElement[] {
  const held = stepAt(steps, price);
  return steps.filter((step) => step.from <= kMostCarbonPrice).map((step) => {
    const tick = h('button', {type: 'button', class: `tick ${step === held ? 'tick-held' : ''}`, 'data-testid': 'price-step', 'data-value': step.from, title: `${number(step.from)} €/t: ${step.node}`,
                              click: () => go(Math.ceil(step.from * 100) / 100)},
                   h('span', {class: 'tick-price'}, `${number(step.from)} €/t`), ' ', h('span', {class: 'tick-node'}, step.node));
    return tick;
  });
}

function lines(steps: readonly Step[]): HTMLElement[] {
  return steps.filter((step) => step.from > 0 && step.from <= kMostCarbonPrice).map((step) => {
    const line = h('span', {class: 'slider-tick'});
    line.style.setProperty('--at', String(positionOf(step.from)));
    return line;
  });
}

function answer(result: WhatIf, per: Per): HTMLElement[] {
  const changed = result.best.join() !== result.bestBefore.join();
  return [
    h('p', {class: 'what-if-winner', 'data-testid': 'what-if-best', 'data-changed': String(changed)},
      result.best.length === 0 ? t('decision.nobody') : changed ? t('whatIf.changed', {node: someOf(result.best), before: someOf(result.bestBefore) || '–'})
                                                                : t('whatIf.same', {node: someOf(result.best)}), ' ', said(result.reason), '.'),
    plainTable(t('whatIf.scores'), [
      {title: t('nodes.node'), cell: (c) => [c.node, result.best.includes(c.node) ? [' ', chip(t('nodes.best'), 'good')] : null, c.refused ? [' ', chip(t('refused'))] : null]},
      {title: t('nodes.score'), isNumber: true, cell: (c) => figure('what-if-score', c.score, number(c.score))},
      {title: t('whatIf.before'), isNumber: true, cell: (c) => number(c.scoreBefore)},
      {title: t('eurosPer', {unit: per.name}), isNumber: true, cell: (c) => euros(times(c.eurPerUnit, per.units))},
      {title: t('gramsPer', {unit: per.name}), isNumber: true, cell: (c) => grams(times(c.gco2ePerUnit, per.units))},
      {title: t('whatIf.priced', {unit: per.name}), isNumber: true, cell: (c) => euros(times(c.pricedEurPerUnit, per.units))},
    ], result.candidates, 'what-if-candidates'),
  ];
}

export function whatIfPanel(context: Context, detail: DecisionDetail, decision: FullDecision, per: Per): HTMLElement {
  const asked = context.route.query;
  let price = Number(asked.get('carbon-price') ?? decision.policy.carbonPriceEurPerTonne) || 0;
  let objective = asked.get('objective') ?? 'priced';
  const result = h('div', {class: 'what-if-result'});
  const steps = h('div', {class: 'ticks'});
  const marks = h('div', {class: 'slider-ticks', 'aria-hidden': 'true'});
  const status = h('p', {class: 'hint'});
  const slider = h('input', {type: 'range', min: 0, max: kPositions, step: 1, 'data-testid': 'price-slider', 'aria-label': t('carbonPrice'), input: () => take(priceAt(Number(slider.value) / kPositions), true)});
  const exact = h('input', {type: 'number', min: 0, max: 100000, step: 'any', inputmode: 'decimal', 'data-testid': 'price-field', input: () => {
    if (exact.checkValidity() && exact.value !== '') take(Number(exact.value), false);
  }});
  let latest = 0;
  const ask = debounce(kWaitMs, context.signal, () => void load());
  const show = (found: readonly Step[]): void => {
    replace(steps, found.length > 1 ? [h('span', {class: 'hint'}, t('whatIf.steps')), tickMarks(found, price, (to) => take(to, true))] : null);
    replace(marks, lines(found));
  };
  const load = async (): Promise<void> => {
    const mine = ++latest;
    try {
      const found = await get<WhatIf>(encodePath('what-if', detail.id), {'carbon-price': price, objective, rows: kRows}, context.signal);
      if (mine !== latest) return;
      show(found.carbonPriceSteps);
      setText(status, objective === 'priced' ? '' : t('whatIf.unpriced'));
      replace(result, answer(found, per));
    } catch (error) {
      if (mine === latest) showFailure(result, error);
    }
  };
  const take = (to: number, alsoField: boolean): void => {
    price = to;
    if (alsoField) exact.value = String(to);
    slider.value = String(Math.round(positionOf(to) * kPositions));
    slider.setAttribute('aria-valuetext', `${number(to)} €/t`);
    rememberInHash('decisions', context.route.path, {'carbon-price': String(to), objective});
    ask();
  };
  slider.value = String(Math.round(positionOf(price) * kPositions));
  slider.setAttribute('aria-valuetext', `${number(price)} €/t`);
  exact.value = String(price);
  show(decision.carbonPriceSteps);
  void load();
  return section(t('whatIf.title'), h('p', {class: 'hint'}, t('whatIf.about'), ' ', t('ledger.placementIs', {unit: per.name})),
                 h('div', {class: 'controls'},
                   field(t('objective'), select(objectiveOptions(), objective, (value) => {
                     objective = value;
                     take(price, false);
                   }, 'what-if-objective')),
                   field(t('carbonPrice'), exact),
                   h('div', {class: 'slider'}, slider, marks, h('div', {class: 'slider-ends', 'aria-hidden': 'true'}, h('span', {}, '0'), h('span', {}, `${number(kMostCarbonPrice)} €/t`)))),
                 status, steps, result);
}
