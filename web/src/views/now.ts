import {get, type Decision, type Outcome, type Overview} from '../api';
import {badge} from '../charts/small';
import {TimeChart} from '../charts/time';
import {h, replace, setText} from '../dom';
import {age, clock, dateTime, euros, grams, gramsRange, known, number, parseTime, percent, signedPercent, times, wattHours, whole} from '../format';
import {t} from '../i18n';
import {every} from '../poll';
import {hashOf} from '../router';
import {DecisionFeed, type FeedState} from '../stream';
import {chip, figure, said, section, setFigure, showFailure, tile} from '../ui';
import {onLeave, type Context, type View} from '../view';
import {ledgerName, notFollowed, perUnits} from './shared';

const kMostRows = 200;
const kMostPoints = 720;
const kOverviewMs = 5000;
const kBucketSeconds = 2;
const kAnnounceMs = 15000;

function makeTiles() {
  return {
    eur: tile('tile-eur', t('now.eurPerHour')), gco2e: tile('tile-gco2e', t('now.gco2ePerHour')),
    request: tile('tile-request', t('now.perRequest')), change: tile('tile-change', t('now.change')),
    measured: tile('tile-measured', t('now.measured')), fresh: tile('tile-fresh', t('now.fresh')),
  };
}

function fillTiles(tiles: ReturnType<typeof makeTiles>, o: Overview): void {
  const running = o.running;
  const off = running ? '' : t('now.accountingOff');
  setFigure(tiles.eur.value, running?.eurPerHour, euros(running?.eurPerHour, t('perHour')));
  setText(tiles.eur.note, running ? t('now.pods', {n: running.pods, known: whole(running.knownPods)}) : off);
  setFigure(tiles.gco2e.value, running?.gco2ePerHour, grams(running?.gco2ePerHour, t('perHour')));
  setText(tiles.gco2e.note, running ? gramsRange(running.lowGco2ePerHour, running.highGco2ePerHour, t('perHour')) : off);
  const per = perUnits('request', [running?.eurPerRequest]);
  setFigure(tiles.request.value, running?.gco2ePerRequest, grams(times(running?.gco2ePerRequest, per.units)));
  setText(tiles.request.note, running && known(running.gco2ePerRequest)
      ? `${per.name} · ${euros(times(running.eurPerRequest, per.units))} · ${wattHours(times(running.wattHoursPerRequest, per.units))}` : off || t('now.noRequests'));
  const change = o.accounted?.change;
  setFigure(tiles.change.value, change?.gco2eShare, signedPercent(change?.gco2eShare));
  setText(tiles.change.note, change ? t('now.changeNote', {grams: grams(change.gco2e), eur: euros(change.eur)}) : off || t('now.noChange'));
  setFigure(tiles.measured.value, running?.measuredShare, percent(running?.measuredShare));
  setText(tiles.measured.note, running ? t('now.live', {share: percent(running.liveShare)}) : off);
  const now = Date.now();
  const at = parseTime(o.snapshotTime);
  setFigure(tiles.fresh.value, at, age(o.snapshotTime, now));
  const used = o.signals.reduce((sum, signal) => sum + signal.used, 0);
  const stale = o.signals.reduce((sum, signal) => sum + signal.stale, 0);
  setText(tiles.fresh.note, t('now.signals', {used: whole(used), stale: whole(stale)}));
}

function warnings(o: Overview): HTMLElement[] {
  const out: HTMLElement[] = [];
  const warn = (kind: string, ...text: (string | HTMLElement)[]): void => {
    out.push(h('li', {class: `warning warning-${kind}`}, text));
  };
  if (!o.ready) warn('error', t('now.notReady'), ' ', said(o.notReady));
  if (o.records.problem) warn('error', t('now.recordsProblem'), ' ', said(o.records.problem));
  if (o.records.dropped > 0) warn('error', t('now.recordsDropped', {n: o.records.dropped}));
  if (o.records.shippingProblem) warn('warning', t('now.shipping'), ' ', said(o.records.shippingProblem));
  const {error, warning, note} = o.findings;
  if (error + warning > 0)
    warn(error > 0 ? 'error' : 'warning',
         h('a', {href: hashOf('signals')}, t('now.findings', {errors: error, warnings: warning, notes: note})));
  if (!o.records.enabled) warn('note', t('now.recordsOff'));
  for (const text of o.notes) warn('note', said(text));
  return out;
}

// Mean rates of what was placed, by two seconds; used where no running totals are known.
class PlacementSeries {
  private readonly buckets: {at: number; eur: number; grams: number; count: number}[] = [];

  add(decisions: readonly Decision[]): void {
    for (const d of decisions) {
      const time = parseTime(d.time);
      if (time === null || !known(d.eurPerHour) || !known(d.gco2ePerHour)) continue;
      const at = Math.floor(time / 1000 / kBucketSeconds) * kBucketSeconds;
      let last = this.buckets[this.buckets.length - 1];
      if (!last || last.at < at) {
        last = {at, eur: 0, grams: 0, count: 0};
        this.buckets.push(last);
        if (this.buckets.length > kMostPoints) this.buckets.shift();
      }
      last.eur += d.eurPerHour;
      last.grams += d.gco2ePerHour;
      ++last.count;
    }
  }

  columns(): [number[], number[], number[]] {
    return [this.buckets.map((b) => b.at), this.buckets.map((b) => b.grams / b.count), this.buckets.map((b) => b.eur / b.count)];
  }
}

function placementRow(d: Decision): HTMLElement {
  // As the reason says it: all figures of the row are of the ledger that was ranked.
  const share = known(d.placementGco2ePerUnit) && known(d.meanPlacementGco2ePerUnit) && d.meanPlacementGco2ePerUnit > 0
      ? d.placementGco2ePerUnit / d.meanPlacementGco2ePerUnit - 1 : null;
  const per = perUnits(d.unit, [d.placementEurPerUnit]);
  return h('li', {class: 'placement', 'data-testid': 'placement', 'data-uid': d.uid},
           h('time', {datetime: d.time, class: 'placement-time'}, clock(d.time)),
           h('div', {class: 'placement-what'},
             h('a', {href: hashOf('decisions', [d.uid || d.pod])}, d.pod),
             h('span', {class: 'placement-node'}, ' → ', h('span', {class: 'node'}, (d.followed ? d.bound : d.best) || t('now.noNode')),
               d.shadow ? [' ', chip(t('shadow'))] : null,
               d.followed === false ? [' ', notFollowed(d.bound)] : null,
               d.refused > 0 ? [' ', chip(t('refusedOf', {n: d.refused, all: d.candidates}))] : null),
             said(d.reason, {class: 'placement-why'})),
           h('div', {class: 'placement-figures'},
             h('span', {}, figure('eur', d.placementEurPerUnit, euros(times(d.placementEurPerUnit, per.units)))),
             h('span', {}, figure('gco2e', d.placementGco2ePerUnit, grams(times(d.placementGco2ePerUnit, per.units)))),
             h('span', {class: 'hint'}, per.name),
             h('span', {}, figure('change', share, share === null ? '–' : t('now.vsMean', {share: signedPercent(share)}))),
             h('span', {class: 'hint ledger', 'data-testid': 'ledger'}, ledgerName(d.ledger))),
           d.carbonClass ? badge(d.carbonClass, 'carbon') : h('span', {class: 'badge'}));
}

class Placements {
  readonly list = h('ol', {class: 'placements', 'data-testid': 'placements'});
  readonly state = h('span', {class: 'feed-state', 'data-testid': 'feed-state'});
  private readonly skippedLine = h('p', {class: 'hint'});
  private skipped = 0;
  private fresh = 0;
  private lastSaid = performance.now();
  readonly element = section(t('now.placements'), this.state, h('p', {class: 'hint'}, t('ledger.about')), this.skippedLine, this.list);

  constructor(private readonly announce: (text: string) => void) {
    replace(this.list, h('li', {class: 'empty'}, t('now.none')));
  }

  add(newer: readonly Decision[], skipped: number): void {
    if (this.list.firstElementChild?.className === 'empty') this.list.replaceChildren();
    const batch = document.createDocumentFragment();
    for (let i = newer.length - 1; i >= 0; --i) batch.append(placementRow(newer[i] as Decision));
    this.list.prepend(batch);
    while (this.list.children.length > kMostRows) this.list.lastElementChild?.remove();
    this.skipped += skipped;
    this.fresh += newer.length + skipped;
    setText(this.skippedLine, this.skipped > 0 ? t('now.skipped', {count: whole(this.skipped)}, this.skipped) : '');
    const last = newer[newer.length - 1];
    if (!last || performance.now() - this.lastSaid < kAnnounceMs) return;
    this.lastSaid = performance.now();
    this.announce(t('now.announce', {n: this.fresh, pod: last.pod, node: last.best || t('now.noNode')}));
    this.fresh = 0;
  }

  follow(outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) {
      for (const row of this.list.children) {
        if (!(row instanceof HTMLElement) || row.dataset['uid'] !== outcome.uid) continue;
        const place = row.querySelector('.placement-node');
        const node = row.querySelector('.node');
        if (outcome.followed && node) setText(node, outcome.node);
        else if (place && !place.querySelector('.chip-warning')) place.append(' ', notFollowed(outcome.node));
      }
    }
  }

  show(state: FeedState): void {
    setText(this.state, t(`feed.${state}`));
    this.state.dataset['state'] = state;
  }
}

function mount(context: Context): void {
  const tiles = makeTiles();
  const alerts = h('ul', {class: 'warnings', 'data-testid': 'warnings'});
  const chart = new TimeChart(t('now.chart'), [
    {label: t('series.gco2ePerHour'), colour: '--grams', scale: 'g', format: (v) => grams(v, t('perHour')), band: true},
    {label: t('series.eurPerHour'), colour: '--euros', scale: 'eur', format: (v) => euros(v, t('perHour'))},
  ]);
  const chartNote = h('p', {class: 'hint'});
  const facts = h('p', {class: 'hint', 'data-testid': 'facts'});
  const placements = new Placements(context.announce);
  const failure = h('div');
  replace(context.root, failure, alerts, h('div', {class: 'tiles'}, Object.values(tiles).map((each) => each.element)),
          h('div', {class: 'now-grid'}, placements.element, section(t('now.chartTitle'), chartNote, chart.element, facts)));
  onLeave(context, () => chart.destroy());

  const series = new PlacementSeries();
  const totals: [number[], (number | null)[], (number | null)[]] = [[], [], []];
  let hasTotals = false;
  const redraw = (): void => {
    if (hasTotals) chart.set(...totals);
    else chart.set(...series.columns());
    setText(chartNote, t(hasTotals ? 'now.chartTotals' : 'now.chartPlacements'));
  };
  const takeTotals = (o: Overview): void => {
    if (!o.running) return;
    hasTotals = true;
    const at = (parseTime(o.running.time) ?? Date.now()) / 1000;
    if (at <= (totals[0][totals[0].length - 1] ?? 0)) return;
    totals[0].push(at);
    totals[1].push(o.running.gco2ePerHour);
    totals[2].push(o.running.eurPerHour);
    if (totals[0].length > kMostPoints) for (const column of totals) column.shift();
  };
  every(kOverviewMs, context.signal, async () => {
    try {
      const o = await get<Overview>('overview', {}, context.signal);
      failure.replaceChildren();
      fillTiles(tiles, o);
      replace(alerts, warnings(o));
      takeTotals(o);
      redraw();
      setText(facts, [t('now.facts', {nodes: number(o.nodes), places: number(o.places), version: o.version}),
        o.records.enabled ? t('now.records', {entries: whole(o.records.entries), time: dateTime(o.time)}) : ''].filter(Boolean).join(' · '));
    } catch (error) {
      showFailure(failure, error);
    }
  });
  let drawn = -Infinity;
  const feed = new DecisionFeed({
    decisions: (newer, skipped) => {
      placements.add(newer, skipped);
      series.add(newer);
      if (!hasTotals && performance.now() - drawn > 1000) {
        drawn = performance.now();
        redraw();
      }
    },
    outcomes: (outcomes) => placements.follow(outcomes),
    state: (state) => placements.show(state),
  });
  onLeave(context, () => feed.close());
}

export const now: View = {id: 'now', name: 'nav.now', mount};
