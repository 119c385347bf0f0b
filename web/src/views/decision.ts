// One decision, drawn.
import {encodePath, get, type Candidate, type DecisionDetail, type FullDecision, type Sourced} from '../api';
import {badge, bar} from '../charts/small';
import {h, replace} from '../dom';
import {age, dateTime, euros, grams, gramsRange, known, number, parseTime, times} from '../format';
import {t, type Key} from '../i18n';
import {hashOf} from '../router';
import {chip, figure, loading, plainTable, said, section, showFailure} from '../ui';
import type {Context} from '../view';
import {objectiveName, perUnits, someOf, type Per} from './shared';
import {whatIfPanel} from './what_if';

const kRows = 100;

const isBest = (decision: FullDecision, node: string): boolean => decision.best.includes(node);

function inputsOf(candidate: Candidate): [string, Sourced | undefined][] {
  const name = (key: Key): string => t(key);
  return [
    [name('input.intensity'), candidate.gridGco2ePerKwh], ['PUE', candidate.pue], [name('input.price'), candidate.nodeEurPerHour],
    [name('input.listPrice'), candidate.listNodeEurPerHour], [name('input.electricity'), candidate.electricityEurPerKwh],
    [name('input.vcpuWatts'), candidate.wattsPerVcpu], [name('input.nodeWatts'), candidate.measuredNodeWatts],
    [name('input.cpuWatts'), candidate.measuredCpuWatts], [name('input.gpuWatts'), candidate.measuredGpuWatts],
    [name('input.acceleratorWatts'), candidate.wattsPerAccelerator],
  ];
}

function inputs(candidate: Candidate, decision: FullDecision): HTMLElement {
  const at = parseTime(decision.time) ?? Date.now();
  const rows = inputsOf(candidate).filter((each): each is [string, Sourced] => each[1] !== undefined);
  return h('div', {'data-testid': 'inputs'},
           h('h3', {}, t('decision.inputsOf', {node: candidate.node})),
           h('p', {class: 'hint'}, t('decision.powerFrom'), ' ', said(candidate.powerBasis)),
           plainTable(t('decision.inputsOf', {node: candidate.node}), [
             {title: t('input'), cell: ([name]) => name},
             {title: t('value'), isNumber: true, cell: ([, input]) => `${number(input.value)} ${input.unit === '1' ? '' : input.unit}`},
             {title: t('method'), cell: ([, input]) => said(input.method)},
             {title: t('age'), cell: ([, input]) => input.time ? age(input.time, at) : '–'},
             {title: t('source'), cell: ([, input]) => said(input.source)},
           ], rows));
}

// One denominator for the whole page of a decision.
function perOf(decision: FullDecision): Per {
  return perUnits(decision.unit, decision.candidates.filter((c) => !c.refused).map((c) => c.placement?.eurPerUnit));
}

function candidateTable(decision: FullDecision, per: Per, choose: (candidate: Candidate) => void): HTMLElement {
  const allowed = decision.candidates.filter((candidate) => !candidate.refused);
  const mostEur = Math.max(0, ...allowed.map((c) => c.placement?.eurPerUnit ?? 0));
  const mostGrams = Math.max(0, ...allowed.map((c) => c.placement?.gco2ePerUnit?.high ?? 0));
  const front = new Set(decision.paretoFront);
  return plainTable(t('candidates'), [
    {title: t('nodes.node'), cell: (c) => [
      h('button', {type: 'button', class: 'link', 'data-testid': 'candidate', 'data-node': c.node, click: () => choose(c)}, c.node),
      isBest(decision, c.node) ? [' ', chip(t('nodes.best'), 'good')] : c.tieWithBest ? [' ', chip(t('decision.tie'))] : null,
      front.has(c.node) ? [' ', chip(t('pareto'))] : null,
      h('span', {class: 'hint block'}, `${c.provider} ${c.region} · ${c.hardwareClass}`)]},
    {title: t('nodes.score'), isNumber: true, cell: (c) => figure('score', c.score, number(c.score))},
    {title: t('eurosPer', {unit: per.name}), cell: (c) => h('div', {class: 'bar-cell'},
       figure('eur', c.placement?.eurPerUnit, euros(times(c.placement?.eurPerUnit, per.units))),
       c.priceEstimated ? h('span', {class: 'hint'}, t('estimate')) : null, bar(c.placement?.eurPerUnit, mostEur, {kind: 'euros'}))},
    {title: t('gramsPer', {unit: per.name}), cell: (c) => {
       const range = c.placement?.gco2ePerUnit;
       return h('div', {class: 'bar-cell'}, figure('gco2e', range?.mid, grams(times(range?.mid, per.units))),
                h('span', {class: 'hint'}, gramsRange(times(range?.low, per.units), times(range?.high, per.units))),
                bar(range?.mid, mostGrams, {kind: 'grams', low: range?.low, high: range?.high}));
     }},
  ], allowed, 'candidates');
}

function refusedTable(detail: DecisionDetail, decision: FullDecision, per: Per): HTMLElement | null {
  const refused = detail.refused ?? [];
  if (refused.length === 0) return null;
  const title = t('decision.refused', {n: refused.length + (detail.refusedLeftOff ?? 0)});
  return section(title,
                 decision.bestRefused ? h('p', {}, t('decision.bestRefused', {node: decision.bestRefused})) : null,
                 h('p', {class: 'hint'}, t('ledger.placementIs', {unit: per.name})),
                 plainTable(title, [
                   {title: t('nodes.node'), cell: (c) => [c.node, h('span', {class: 'hint block'}, `${c.provider} ${c.region}`)]},
                   {title: t('why'), cell: (c) => said(c.reason)},
                   {title: t('gramsPer', {unit: per.name}), isNumber: true, cell: (c) => grams(times(c.gco2ePerUnit, per.units))},
                   {title: t('eurosPer', {unit: per.name}), isNumber: true, cell: (c) => euros(times(c.eurPerUnit, per.units))},
                 ], refused, 'refused'));
}

// The same node on both ledgers, each by its name.
function ledgers(winner: Candidate, per: Per): [string, HTMLElement | string][] {
  const {placement, report} = winner;
  const range = (of: {low: number; high: number} | undefined): string =>
    gramsRange(times(of?.low, per.units), times(of?.high, per.units)) || '–';
  return [
    [t('ledger.placement'), t('decision.placement', {
      grams: grams(times(placement?.gco2ePerUnit?.mid, per.units)), range: range(placement?.gco2ePerUnit),
      eur: euros(times(placement?.eurPerUnit, per.units)), unit: per.name})],
    [t('ledger.report'), h('span', {class: 'verdict-figures'},
      h('span', {}, t('decision.report', {
        grams: grams(times(report?.gco2ePerUnit?.mid, per.units)), range: range(report?.gco2ePerUnit),
        eur: euros(times(report?.eurPerUnit, per.units)), unit: per.name})),
      report?.carbonClass ? badge(report.carbonClass, 'carbon') : null, report?.energyClass ? badge(report.energyClass, 'energy') : null)],
  ];
}

function verdict(detail: DecisionDetail, decision: FullDecision, per: Per): HTMLElement {
  const best = someOf(decision.best);
  const winner = decision.candidates.find((candidate) => isBest(decision, candidate.node));
  return h('section', {class: 'panel verdict', 'data-testid': 'verdict'},
           h('p', {class: 'verdict-line'}, best ? t('decision.won', {node: best, n: decision.best.length}) : t('decision.nobody'), ' ', said(decision.reason), '.'),
           h('dl', {class: 'facts'},
             winner ? ledgers(winner, per).map(([name, figures]) => [h('dt', {}, name), h('dd', {}, figures)]) : null,
             h('dt', {}, t('outcome')), h('dd', {'data-testid': 'outcome'}, detail.outcome ? said(detail.outcome.text) : t('decision.noOutcome')),
             detail.againstTheMean ? [h('dt', {}, t('decision.against')), h('dd', {}, said(detail.againstTheMean))] : null,
             h('dt', {}, t('objective')), h('dd', {}, objectiveName(decision.policy.objective), decision.rankedBy && decision.rankedBy !== decision.policy.objective
               ? ` (${t('decision.rankedBy', {objective: objectiveName(decision.rankedBy)})})` : ''),
             h('dt', {}, t('decision.check')), h('dd', {'data-testid': 'check'}, said(detail.check)),
             h('dt', {}, t('decision.made')), h('dd', {}, dateTime(decision.time), ' · ', detail.id, ' · ', t('decision.attempt', {n: detail.attempt, all: detail.attempts}))));
}

function sentences(title: string, lines: readonly string[] | undefined): HTMLElement | null {
  return lines && lines.length > 0 ? section(title, h('ul', {class: 'plain-list'}, lines.map((line) => h('li', {}, said(line))))) : null;
}

const policyLines = (detail: DecisionDetail): string[] =>
  (detail.policyValues ?? []).map(({key, value, origin}) => (value ? `${key}: ${value} (${origin})` : `${key} (${origin})`));

function show(context: Context, detail: DecisionDetail): void {
  const decision = detail.decision;
  context.title(detail.pod);
  const back = h('p', {}, h('a', {href: hashOf('decisions')}, t('decision.back')));
  if (!decision) {
    replace(context.root, back, section(detail.pod, h('p', {}, said(detail.outcome?.text ?? detail.check))));
    return;
  }
  const chosen = h('section', {class: 'panel'});
  const per = perOf(decision);
  const choose = (candidate: Candidate): void => replace(chosen, inputs(candidate, decision));
  const first = decision.candidates[0];
  const leftOff = detail.decision?.candidatesLeftOff ?? 0;
  replace(context.root, back, verdict(detail, decision, per), whatIfPanel(context, detail, decision, per),
          section(t('candidates'), h('p', {class: 'hint'}, t('ledger.placementIs', {unit: per.name}), ' ', t('decision.candidatesHint')),
                  candidateTable(decision, per, (candidate) => {
                    choose(candidate);
                    chosen.scrollIntoView({block: 'nearest'});
                  }), known(leftOff) && leftOff > 0 ? h('p', {class: 'hint'}, t('leftOff', {n: leftOff})) : null),
          refusedTable(detail, decision, per), first ? chosen : null,
          sentences(t('decision.wouldChange'), detail.whatWouldChange), sentences(t('decision.policy'), policyLines(detail)), sentences(t('notes'), decision.notes));
  if (first) choose(first);
}

export function mountDecision(context: Context, id: string): void {
  context.title(id);
  replace(context.root, loading());
  const path = /^[^/]+\/[^/]+$/.test(id) ? encodePath('decisions', ...id.split('/')) : encodePath('decisions', id);
  get<DecisionDetail>(path, {rows: kRows}, context.signal).then((detail) => show(context, detail), (error: unknown) => {
    replace(context.root, h('p', {}, h('a', {href: hashOf('decisions')}, t('decision.back'))), h('div'));
    const into = context.root.lastElementChild as HTMLElement;
    showFailure(into, error);
  });
}
