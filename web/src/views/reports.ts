import {get, urlOf, type Query, type Report, type ReportLine} from '../api';
import {badge} from '../charts/small';
import {TimeChart} from '../charts/time';
import {h, replace, type Child} from '../dom';
import {dateTime, euros, grams, gramsRange, kilowattHours, number, parseTime, percent, signedPercent, wattHours, whole} from '../format';
import {t, type Key} from '../i18n';
import {newest} from '../poll';
import {rememberInHash} from '../router';
import {field, figure, loading, plainTable, said, section, select, showFailure, type PlainColumn} from '../ui';
import {onLeave, type Context, type View} from '../view';

const kKeys = ['namespace', 'team', 'workload', 'model', 'region', 'country', 'provider', 'node', 'class', 'kind', 'day'] as const;
const kKeyNames: Readonly<Record<typeof kKeys[number], Key>> = {
  namespace: 'key.namespace', team: 'team', workload: 'workload', model: 'model', region: 'nodes.region', country: 'key.country',
  provider: 'key.provider', node: 'nodes.node', class: 'nodes.hardware', kind: 'key.kind', day: 'key.day',
};
const kMostRows = 500;
const kPeriods = ['thismonth', 'lastmonth', 'today', '7d', '30d', 'lastquarter'] as const;
const kDates = 'dates';
const kFormats = [['csv', 'CSV'], ['focus', 'FOCUS'], ['json', 'JSON'], ['html', 'HTML']] as const;

function columns(by: readonly string[]): PlainColumn<ReportLine>[] {
  const keyName = (key: string): string => key in kKeyNames ? t(kKeyNames[key as keyof typeof kKeyNames]) : key;
  const total = (line: ReportLine) => line.gco2e.total_location_based;
  return [
    ...by.map((key, i): PlainColumn<ReportLine> => ({title: keyName(key), cell: (line) => line.names ? line.names[key] || t('none') : i === 0 ? h('strong', {}, t('total')) : ''})),
    {title: 'CO₂e', isNumber: true, cell: (line) => figure('gco2e', total(line)?.mid, grams(total(line)?.mid))},
    {title: t('lowHigh'), isNumber: true, cell: (line) => gramsRange(total(line)?.low, total(line)?.high) || '–'},
    {title: t('market'), isNumber: true, cell: (line) => grams(line.gco2e.operational_market_based)},
    {title: t('euros'), isNumber: true, cell: (line) => figure('eur', line.eur, euros(line.eur))},
    {title: t('energy'), isNumber: true, cell: (line) => figure('energy', line.energy_kwh, kilowattHours(line.energy_kwh))},
    {title: t('podHours'), isNumber: true, cell: (line) => number(line.pod_hours)},
    {title: t('requests'), isNumber: true, cell: (line) => line.requests ? whole(line.requests) : '–'},
    {title: t('perRequest'), isNumber: true, cell: (line): Child => line.per_request ? `${grams(line.per_request.gco2e)} · ${wattHours(line.per_request.watt_hours)}` : '–'},
    {title: t('unit.tokens'), isNumber: true, cell: (line): Child => line.per_1k_tokens ? `${grams(line.per_1k_tokens.gco2e)} · ${wattHours(line.per_1k_tokens.watt_hours)}` : '–'},
    {title: t('classes'), cell: (line) => [line.energy_class ? badge(line.energy_class, 'energy') : '–', ' ', line.carbon_class ? badge(line.carbon_class, 'carbon') : '–']},
    {title: t('changeColumn'), isNumber: true, cell: (line) => signedPercent(line.change_against_mean_candidate?.gco2e_share)},
    {title: t('measured'), isNumber: true, cell: (line) => percent(line.quality.measured_share_of_energy)},
  ];
}

function show(into: HTMLElement, report: Report, chart: TimeChart): void {
  const shown = report.groups.slice(0, kMostRows);
  const moments = report.timeline.moments;
  chart.set(moments.map((m) => (parseTime(m.begin) ?? 0) / 1000), moments.map((m) => m.operational_location_based_gco2e === null ? null : m.operational_location_based_gco2e + (m.embodied_gco2e ?? 0)),
            moments.map((m) => m.embodied_gco2e), moments.map((m) => m.eur));
  const covered = report.covered;
  if (!covered) {
    replace(into, section(t('reports.totals'), h('p', {class: 'hint'}, t('fromTo', {from: dateTime(report.from), to: dateTime(report.to)})),
                          h('p', {'data-testid': 'report-no-data'}, t('reports.noData'))));
    return;
  }
  replace(into,
    section(t('reports.totals'), h('p', {class: 'hint'}, t('fromTo', {from: dateTime(report.from), to: dateTime(report.to)}), ' · ',
                                   h('span', {'data-testid': 'report-covered'}, t('reports.covered', {from: dateTime(covered.from), to: dateTime(covered.to), hours: number(covered.hours)})), report.groups.length > kMostRows ? ` · ${t('leftOff', {n: report.groups.length - kMostRows})}` : ''),
            plainTable(t('reports.totals'), columns(report.by), [...shown, report.total], 'report')),
    moments.length > 1 ? section(report.timeline.step_hours >= 24 ? t('trend.byDay') : t('trend.byHour'), chart.element) : null,
    section(t('notes'), h('ul', {class: 'plain-list'}, report.notes.map((note) => h('li', {}, said(note))))));
}

function mount(context: Context): void {
  const asked = context.route.query;
  const month = `${new Date().toISOString().slice(0, 7)}-01`;
  let period = asked.get('from') || asked.get('to') ? kDates : asked.get('period') ?? kPeriods[0];
  // What is asked is shown at once, so that a download is what is on the page.
  const date = (name: 'from' | 'to', value: string) => h('input', {type: 'date', value, 'data-testid': `report-${name}`, change: () => void load()});
  const from = date('from', asked.get('from') ?? month);
  const to = date('to', asked.get('to') ?? '');
  const dates = h('span', {class: 'controls', hidden: period !== kDates}, field(t('reports.from'), from), field(t('reports.to'), to));
  const periods = select([...kPeriods.map((name) => [name, t(`reports.period.${name}`)] as const), [kDates, t('reports.period.dates')]], period, (name) => {
    period = name;
    dates.hidden = name !== kDates;
    void load();
  }, 'report-period');
  const chosen = new Set((asked.get('by') ?? 'namespace').split(',').filter(Boolean));
  const body = h('div');
  const downloads = h('p', {class: 'downloads', 'data-testid': 'downloads'});
  const chart = new TimeChart(t('reports.chart'), [
    {label: t('reports.gco2e'), colour: '--grams', scale: 'g', format: (v) => grams(v), band: true},
    {label: t('reports.embodied'), colour: '--embodied', scale: 'g', format: (v) => grams(v)},
    {label: '€', colour: '--euros', scale: 'eur', format: (v) => euros(v)},
  ], 260);
  onLeave(context, () => chart.destroy());
  const query = (): Query => ({...(period === kDates ? {from: from.value, to: to.value} : {period}), by: kKeys.filter((key) => chosen.has(key)).join(',')});
  const next = newest(context.signal);
  const load = async (): Promise<void> => {
    const signal = next();
    const parameters = query();
    rememberInHash('reports', [], Object.fromEntries(Object.entries(parameters).filter(([, value]) => value).map(([key, value]) => [key, String(value)])));
    replace(downloads, t('reports.download'), kFormats.map(([format, name]) => [' ', h('a', {href: urlOf('reports', {...parameters, format}), download: format === 'html' ? null : '', target: format === 'html' ? '_blank' : null, rel: 'noopener'}, name)]));
    replace(body, loading());
    try {
      show(body, await get<Report>('reports', {...parameters, format: 'json'}, signal), chart);
    } catch (error) {
      showFailure(body, error);
    }
  };
  const keys = h('fieldset', {class: 'keys'}, h('legend', {}, t('reports.by')), kKeys.map((key) => {
    const box = h('input', {type: 'checkbox', checked: chosen.has(key), value: key, change: () => {
      if (box.checked) chosen.add(key);
      else chosen.delete(key);
      void load();
    }});
    return h('label', {class: 'check'}, box, ' ', t(kKeyNames[key]));
  }));
  replace(context.root, section(t('reports.ask'), h('form', {class: 'controls', submit: (event: Event) => {
    event.preventDefault();
    void load();
  }}, field(t('reports.period'), periods), dates, keys, h('button', {type: 'submit', class: 'primary', 'data-testid': 'report-run'}, t('reports.show'))), downloads), body);
  void load();
}

export const reports: View = {id: 'reports', name: 'nav.reports', mount};
