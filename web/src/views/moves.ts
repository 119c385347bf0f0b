import {get, type Recommendation, type Recommendations} from '../api';
import {h, replace, type Child} from '../dom';
import {dateTime, euros, grams, known, number, type Maybe} from '../format';
import {t, type Key} from '../i18n';
import {every} from '../poll';
import {chip, empty, figure, loading, plainTable, said, section, showFailure} from '../ui';
import type {Context, View} from '../view';
import {objectiveName} from './shared';

const kMovesMs = 15000;
const kStates: Readonly<Record<string, readonly [Key, string]>> = {
  open: ['moves.open', 'warning'], accepted: ['moves.accepted', 'good'], dismissed: ['moves.dismissed', ''],
  done: ['moves.done', 'good'], measured: ['moves.measured', 'good'], expired: ['moves.expired', ''],
};
const kMeans: Readonly<Record<Recommendation['holdsOnMean'], Key>> = {yes: 'yes', no: 'no', unknown: 'moves.meanUnknown'};

function isClosed(advice: Recommendation): boolean {
  return advice.state === 'measured' || advice.state === 'expired';
}

function stateChip(state: string): HTMLElement {
  const found = kStates[state];
  return found ? chip(t(found[0]), found[1]) : chip(state);
}

function times(value: Maybe, pods: number): Maybe {
  return known(value) ? value * pods : null;
}

function where(advice: Recommendation): string {
  return advice.kind === 'move' ? t('moves.fromTo', {from: advice.from, to: advice.to}) : advice.from;
}

function what(advice: Recommendation): string {
  return advice.cpu ? t('moves.smaller', {from: number(advice.cpu.requestedVcpus), to: number(advice.cpu.suggestedVcpus), peak: number(advice.cpu.peakVcpus)})
                    : t('moves.move', {from: advice.from, to: advice.to});
}

function fact(name: Key, ...value: Child[]): Child[] {
  return [h('dt', {}, t(name)), h('dd', {}, ...value)];
}

function both(g: Maybe, eur: Maybe, testId = 'pair'): Child[] {
  return [figure(`${testId}-g`, g, grams(g)), ' · ', figure(`${testId}-eur`, eur, euros(eur))];
}

function card(advice: Recommendation): HTMLElement {
  const isMove = advice.kind === 'move';
  return h('article', {class: 'budget advice', 'data-testid': 'advice', 'data-kind': advice.kind, 'data-state': advice.state},
           h('header', {}, h('h3', {}, `${advice.namespace}/${advice.workload}`), stateChip(advice.state)),
           h('p', {}, what(advice)),
           h('dl', {class: 'facts'},
             fact('pods', String(advice.pods)),
             fact('moves.saved', ...both(times(advice.saved.gco2ePerHour, advice.pods), times(advice.saved.eurPerHour, advice.pods), 'saved')),
             fact('moves.now', ...both(advice.now.gco2ePerHour, advice.now.eurPerHour, 'now')),
             fact(isMove ? 'moves.there' : 'moves.then', ...both(advice.there.gco2ePerHour, advice.there.eurPerHour, 'there')),
             isMove ? [fact('moves.net', ...both(advice.net.gco2ePerHour, advice.net.eurPerHour, 'net')), fact('moves.cost', ...both(advice.cost.gco2e, advice.cost.eur, 'cost')),
                       fact('moves.rankedBy', objectiveName(advice.rankedBy)), fact('moves.mean', t(kMeans[advice.holdsOnMean]))] : null,
             advice.evictions > 0 ? fact('moves.evictions', String(advice.evictions)) : null,
             fact('moves.since', dateTime(advice.opened)),
             advice.note ? fact('moves.note', said(advice.note)) : null));
}

function closed(list: readonly Recommendation[]): HTMLElement {
  return plainTable(t('moves.closed'), [
    {title: t('workload'), cell: (a) => `${a.namespace}/${a.workload}`},
    {title: t('moves.where'), cell: where},
    {title: t('outcome'), cell: (a) => stateChip(a.state)},
    {title: t('moves.promisedG'), cell: (a) => figure('promised-g', a.saved.gco2ePerHour, grams(a.saved.gco2ePerHour)), isNumber: true},
    {title: t('moves.measuredG'), cell: (a) => figure('measured-g', a.measured?.saved.gco2ePerHour, grams(a.measured?.saved.gco2ePerHour)), isNumber: true},
    {title: t('moves.promisedEur'), cell: (a) => figure('promised-eur', a.saved.eurPerHour, euros(a.saved.eurPerHour)), isNumber: true},
    {title: t('moves.measuredEur'), cell: (a) => figure('measured-eur', a.measured?.saved.eurPerHour, euros(a.measured?.saved.eurPerHour)), isNumber: true},
    {title: t('time'), cell: (a) => dateTime(a.changed)},
    {title: t('why'), cell: (a) => said(a.note)},
  ], list, 'closed');
}

function show(root: HTMLElement, found: Recommendations): void {
  if (!found.enabled) {
    replace(root, empty(t('moves.off'), false));
    return;
  }
  const active = found.recommendations.filter((advice) => !isClosed(advice));
  const past = found.recommendations.filter(isClosed);
  replace(root,
    found.problem ? h('p', {class: 'warning warning-warning'}, t('moves.notKept'), ' ', said(found.problem)) : null,
    section(t('moves.title'), h('p', {class: 'hint'}, t('moves.hint'), ' ',
                                found.evicts ? t('moves.evicts', {n: found.maxEvictionsPerHour, hours: number(found.minHoursBetween)}) : t('moves.evictsNot')),
            active.length === 0 ? h('p', {class: 'hint'}, t('moves.none')) : h('div', {class: 'budgets'}, active.map(card))),
    section(t('moves.closed'), h('p', {class: 'hint'}, t('moves.closedHint')), past.length === 0 ? h('p', {class: 'hint'}, t('moves.noneClosed')) : closed(past),
            found.leftOff > 0 ? h('p', {class: 'hint'}, t('leftOff', {n: found.leftOff})) : null));
}

function mount(context: Context): void {
  replace(context.root, loading());
  let last = '';
  every(kMovesMs, context.signal, async () => {
    try {
      const found = await get<Recommendations>('recommendations', {}, context.signal);
      const text = JSON.stringify(found.recommendations) + found.problem;
      if (text !== last) show(context.root, found);
      last = text;
    } catch (error) {
      last = '';
      showFailure(context.root, error);
    }
  });
}

export const moves: View = {id: 'moves', name: 'nav.moves', mount};
