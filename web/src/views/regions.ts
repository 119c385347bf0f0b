import {get, type Ranking, type Region} from '../api';
import {bar, sparkline} from '../charts/small';
import {Scatter} from '../charts/scatter';
import {h, replace, setText} from '../dom';
import {age, euros, grams, gramsRange, intensity, known, number, whole} from '../format';
import {t} from '../i18n';
import {debounce, every, newest} from '../poll';
import {rememberInHash} from '../router';
import {chip, empty, field, figure, said, section, select, showFailure} from '../ui';
import {onLeave, type Context, type View} from '../view';
import {VirtualTable, type TableColumn} from '../virtual_table';
import {objectiveOptions} from './shared';

const kRegionsMs = 30000;
const kRankingMs = 30000;

function exposureText(region: Region): string {
  switch (region.exposure) {
    case 'none-attested': return t(region.attested ? 'exposure.none' : 'exposure.noneCatalogue');
    case 'contested': return t('exposure.contested');
    case 'exposed': return t('exposure.exposed');
    default: return t('unknown');
  }
}

function certificates(region: Region): HTMLElement | null {
  if (region.certifications.length === 0) return null;
  return h('div', {class: 'chips'}, region.certifications.map((each) => {
    const state = {valid: '', expired: ` · ${t('regions.expired')}`, unknown: ` · ${t('regions.undated')}`}[each.state];
    const item = chip(each.scheme + state, each.state === 'valid' ? 'good' : each.state === 'expired' ? 'warning' : '');
    item.title = [each.version, each.scope, each.expires, each.source].filter(Boolean).join(' · ');
    return item;
  }));
}

function regionCard(region: Region, most: number): HTMLElement {
  const free = (value: number | null, of: number | null, unit: string): string => `${number(value)} / ${number(of)} ${unit}`;
  const price = known(region.lowEurPerVcpuHour)
      ? `${euros(region.lowEurPerVcpuHour)}${region.highEurPerVcpuHour !== region.lowEurPerVcpuHour ? ` – ${euros(region.highEurPerVcpuHour)}` : ''}` : '–';
  const row = (label: string, ...value: (string | HTMLElement | null)[]): HTMLElement[] => [h('dt', {}, label), h('dd', {}, value)];
  return h('article', {class: 'region', 'data-testid': 'region', 'data-region': region.region},
           h('header', {},
             h('h3', {}, region.region, ' ', h('span', {class: 'region-provider'}, region.provider)),
             h('span', {class: 'region-zone'}, [region.country || region.gridZone, t('regions.nodes', {n: region.nodes})].join(' · '))),
           h('div', {class: 'region-intensity'},
             figure('intensity', region.gco2ePerKwh, intensity(region.gco2ePerKwh)),
             known(region.gco2ePerKwh) ? chip(region.live ? t('regions.live') : t('regions.catalogue'), region.live ? 'good' : '') : null,
             region.live ? h('span', {class: 'hint'}, age(region.intensityTime, Date.now())) : null),
           bar(region.gco2ePerKwh, most, {kind: 'grams', mark: region.live ? region.catalogueGco2ePerKwh : null}),
           region.forecast.length > 1
               ? h('div', {class: 'region-forecast'}, h('span', {class: 'hint'}, t('regions.forecast')),
                   sparkline(region.forecast.map((point) => point.gco2ePerKwh), t('regions.forecastLabel', {
                     low: number(Math.min(...region.forecast.map((p) => p.gco2ePerKwh ?? Infinity))),
                     high: number(Math.max(...region.forecast.map((p) => p.gco2ePerKwh ?? -Infinity)))}))) : null,
           h('dl', {class: 'facts'},
             row(t('regions.price'), price, ' ', region.priceEstimated ? chip(t('estimate')) : null),
             row(t('regions.free'), h('span', {class: 'lines'},
                 h('span', {}, free(region.free.vcpu, region.allocatable.vcpu, 'vCPU')),
                 h('span', {}, free(region.free.memoryGib, region.allocatable.memoryGib, 'GiB')),
                 region.allocatable.gpus ? h('span', {}, free(region.free.gpus, region.allocatable.gpus, 'GPU')) : null)),
             row(t('regions.operator'), region.operator ? `${region.operator}${region.operatorCountry ? ` (${region.operatorCountry})` : ''}` : '–'),
             row(t('regions.exposure'), exposureText(region)),
             row('PUE', figure('pue', region.pue, number(region.pue)))),
           certificates(region),
           region.attested ? null : h('p', {class: 'hint'}, t('regions.notAttested')));
}

function mountRegions(context: Context, into: HTMLElement): void {
  every(kRegionsMs, context.signal, async () => {
    try {
      const regions = await get<Region[]>('regions', {}, context.signal);
      regions.sort((a, b) => (a.gco2ePerKwh ?? Infinity) - (b.gco2ePerKwh ?? Infinity));
      const most = Math.max(0, ...regions.map((region) => region.gco2ePerKwh ?? 0));
      replace(into, regions.length > 0 ? h('div', {class: 'regions', 'data-testid': 'regions'}, regions.map((region) => regionCard(region, most)))
                                       : empty(t('regions.none'), false));
    } catch (error) {
      showFailure(into, error);
    }
  });
}

interface NodeRow {
  index: number; node: string; provider: string; region: string; zone: string; hardware: string; score: number | null;
  eur: number | null; grams: number | null; low: number | null; high: number | null; watts: number | null; intensity: number | null;
  estimated: boolean; powerFrom: string; vcpu: number | null; freeVcpu: number | null; freeMemory: number | null; fits: boolean;
  front: boolean; best: boolean; text: string;
}

function rowsOf(ranking: Ranking): NodeRow[] {
  const n = ranking.nodes;
  const front = new Set(ranking.paretoFront);
  const best = new Set(ranking.best);
  return n.node.map((node, i): NodeRow => ({
    index: i, node, provider: n.provider[i] ?? '', region: n.region[i] ?? '', zone: n.gridZone[i] ?? '', hardware: n.hardwareClass[i] ?? '',
    score: n.score[i] ?? null, eur: n.eurPerHour[i] ?? null, grams: n.gco2ePerHour[i] ?? null, low: n.lowGco2ePerHour[i] ?? null,
    high: n.highGco2ePerHour[i] ?? null, watts: n.watts[i] ?? null, intensity: n.gco2ePerKwh[i] ?? null,
    estimated: n.priceEstimated[i] ?? false, powerFrom: n.powerFrom[i] ?? '', vcpu: n.vcpu[i] ?? null, freeVcpu: n.freeVcpu[i] ?? null,
    freeMemory: n.freeMemoryGib[i] ?? null, fits: n.fits[i] ?? false, front: front.has(i), best: best.has(i),
    text: [node, n.provider[i], n.region[i], n.gridZone[i], n.hardwareClass[i]].join(' ').toLowerCase(),
  }));
}

function columns(): TableColumn<NodeRow>[] {
  const euroCell = (row: NodeRow): HTMLElement => h('span', {}, euros(row.eur), row.estimated ? h('abbr', {title: t('estimate')}, ' ≈') : null);
  return [
    {key: 'node', title: t('nodes.node'), cell: (r) => [r.node, r.best ? [' ', chip(t('nodes.best'), 'good')] : null], order: (r) => r.node},
    {key: 'region', title: t('nodes.region'), cell: (r) => `${r.provider} ${r.region}`, order: (r) => `${r.provider} ${r.region}`},
    {key: 'hardware', title: t('nodes.hardware'), cell: (r) => r.hardware || '–', order: (r) => r.hardware},
    {key: 'score', title: t('nodes.score'), isNumber: true, cell: (r) => number(r.score), order: (r) => r.score, raw: (r) => r.score},
    {key: 'eur', title: `€${t('perHour')}`, isNumber: true, cell: euroCell, order: (r) => r.eur, raw: (r) => r.eur},
    {key: 'gco2e', title: `gCO₂e${t('perHour')}`, isNumber: true, order: (r) => r.grams, raw: (r) => r.grams,
     cell: (r) => h('span', {title: gramsRange(r.low, r.high, t('perHour'))}, number(r.grams))},
    {key: 'range', title: t('lowHigh'), isNumber: true, cell: (r) => known(r.low) ? `${number(r.low)}–${number(r.high)}` : '–'},
    {key: 'watts', title: 'W', isNumber: true, cell: (r) => number(r.watts), order: (r) => r.watts, raw: (r) => r.watts},
    {key: 'intensity', title: 'gCO₂e/kWh', isNumber: true, cell: (r) => number(r.intensity), order: (r) => r.intensity, raw: (r) => r.intensity},
    {key: 'power', title: t('nodes.powerFrom'), cell: (r) => said(r.powerFrom), order: (r) => r.powerFrom},
    {key: 'free', title: t('nodes.freeVcpu'), isNumber: true, cell: (r) => `${number(r.freeVcpu)} / ${number(r.vcpu)}`, order: (r) => r.freeVcpu, raw: (r) => r.freeVcpu},
    {key: 'memory', title: t('nodes.freeGib'), isNumber: true, cell: (r) => number(r.freeMemory), order: (r) => r.freeMemory, raw: (r) => r.freeMemory},
    {key: 'fits', title: t('nodes.fits'), cell: (r) => r.fits ? t('yes') : t('no'), order: (r) => r.fits ? 0 : 1},
  ];
}

class NodesPanel {
  readonly element: HTMLElement;
  private readonly readout = h('p', {class: 'readout', 'aria-live': 'polite', 'data-testid': 'readout'}, t('nodes.readout'));
  private readonly count = h('span', {class: 'hint', 'data-testid': 'node-count'});
  private readonly summary = h('p', {class: 'hint', 'data-testid': 'ranking-summary'});
  private readonly failure = h('div');
  private readonly scatter: Scatter;
  private readonly table: VirtualTable<NodeRow>;
  private rows: NodeRow[] = [];
  private filter = '';
  private only = 'all';
  private readonly shape: Record<string, string>;

  private readonly next: () => AbortSignal;

  constructor(private readonly context: Context) {
    this.next = newest(context.signal);
    const q = context.route.query;
    this.shape = {cpu: q.get('cpu') ?? '2', 'memory-gib': q.get('memory-gib') ?? '4', gpus: q.get('gpus') ?? '0',
                  objective: q.get('objective') ?? '', 'carbon-price': q.get('carbon-price') ?? ''};
    this.scatter = new Scatter(t('nodes.scatter'), {x: `€${t('perHour')}`, y: `gCO₂e${t('perHour')}`}, (index) => this.show(index));
    this.table = new VirtualTable(columns(), {
      caption: t('nodes.table'), testId: 'nodes', rowHeight: 36, keyOf: (row) => row.node, sortBy: 'score', descending: true,
      focused: (row) => this.scatter.setActive(row?.index ?? null),
    });
    this.element = section(t('nodes.title'), h('p', {class: 'hint'}, t('nodes.about')), this.form(), this.failure, this.summary, this.scatter.element,
                           this.legend(), this.readout, this.filters(), this.table.element);
    onLeave(context, () => {
      this.scatter.destroy();
      this.table.destroy();
    });
    every(kRankingMs, context.signal, () => this.load());
  }

  private form(): HTMLElement {
    const ask = debounce(250, this.context.signal, () => {
      rememberInHash('regions', [], Object.fromEntries(Object.entries(this.shape).filter(([, value]) => value !== '')));
      void this.load();
    });
    const input = (key: string, max: number, step: string): HTMLInputElement => {
      const control = h('input', {type: 'number', min: 0, max, step, inputmode: 'decimal', value: this.shape[key] ?? '', 'data-testid': `shape-${key}`,
                                  input: () => {
                                    if (!control.checkValidity()) return;
                                    this.shape[key] = control.value;
                                    ask();
                                  }});
      return control;
    };
    return h('form', {class: 'controls', submit: (event: Event) => event.preventDefault()},
             field('vCPU', input('cpu', 1024, 'any')), field('GiB', input('memory-gib', 65536, 'any')), field('GPU', input('gpus', 64, '1')),
             field(t('objective'), select([['', t('objective.cluster')], ...objectiveOptions()], this.shape['objective'] ?? '', (value) => {
               this.shape['objective'] = value;
               ask();
             }, 'shape-objective')),
             field(t('carbonPrice'), input('carbon-price', 100000, 'any')));
  }

  private legend(): HTMLElement {
    const item = (kind: string, text: string): HTMLElement => h('span', {class: 'legend-item'}, h('span', {class: `legend-mark legend-${kind}`, 'aria-hidden': 'true'}), text);
    return h('p', {class: 'legend'}, item('point', t('nodes.fitsLegend')), item('dim', t('nodes.fullLegend')), item('front', t('pareto')), item('best', t('nodes.best')));
  }

  private filters(): HTMLElement {
    const search = h('input', {type: 'search', 'data-testid': 'node-search', placeholder: t('nodes.searchHint'), input: () => {
      this.filter = search.value.trim().toLowerCase();
      apply();
    }});
    const apply = debounce(80, this.context.signal, () => this.fill());
    return h('div', {class: 'controls'}, field(t('search'), search),
             field(t('show'), select([['all', t('nodes.all')], ['fits', t('nodes.onlyFits')], ['front', t('pareto')], ['unknown', t('nodes.onlyUnknown')]], 'all', (value) => {
               this.only = value;
               this.fill();
             }, 'node-filter')), this.count);
  }

  private async load(): Promise<void> {
    const signal = this.next();
    try {
      const ranking = await get<Ranking>('ranking', this.shape, signal);
      this.failure.replaceChildren();
      this.rows = rowsOf(ranking);
      setText(this.summary, t('nodes.summary', {
        vcpu: number(ranking.pod.vcpu), gib: number(ranking.pod.memoryGib), gpus: number(ranking.pod.gpus),
        basis: ranking.intensityBasis === 'live' ? t('regions.live') : t('regions.catalogue'), price: number(ranking.carbonPriceEurPerTonne),
        tolerance: number(ranking.costTolerancePercent)}));
      this.scatter.set({x: ranking.nodes.eurPerHour, y: ranking.nodes.gco2ePerHour, dim: ranking.nodes.fits.map((fits) => !fits),
                        front: ranking.paretoFront, best: ranking.best});
      this.fill();
    } catch (error) {
      showFailure(this.failure, error);
    }
  }

  private fill(): void {
    const words = this.filter.split(/\s+/).filter(Boolean);
    const rows = this.rows.filter((row) => words.every((word) => row.text.includes(word)) &&
        (this.only === 'all' || (this.only === 'fits' && row.fits) || (this.only === 'front' && row.front) ||
         (this.only === 'unknown' && (row.eur === null || row.grams === null))));
    setText(this.count, t('nodes.count', {shown: whole(rows.length), all: whole(this.rows.length)}));
    this.table.set(rows);
  }

  private show(index: number | null): void {
    const row = index === null ? undefined : this.rows[index];
    if (!row) {
      setText(this.readout, t('nodes.readout'));
      return;
    }
    setText(this.readout, [row.node, `${row.provider} ${row.region}`, euros(row.eur, t('perHour')) + (row.estimated ? ` (${t('estimate')})` : ''),
      `${grams(row.grams, t('perHour'))} (${gramsRange(row.low, row.high, t('perHour')) || '–'})`, `${t('nodes.score')} ${number(row.score)}`,
      row.fits ? '' : t('nodes.noRoom'), row.front ? t('pareto') : ''].filter(Boolean).join(' · '));
  }
}

function mount(context: Context): void {
  const strip = h('div');
  const nodes = new NodesPanel(context);
  replace(context.root, section(t('regions.title'), strip), nodes.element);
  mountRegions(context, strip);
}

export const regions: View = {id: 'regions', name: 'nav.regions', mount};
