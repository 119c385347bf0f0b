// One workload or one model: trend, figures and its label.
import {encodePath, get, urlOf, type PerUnit, type Workload, type Workloads} from '../api';
import {badge} from '../charts/small';
import {TimeChart} from '../charts/time';
import {h, replace, type Child} from '../dom';
import {day, escapeMarkdown, euros, grams, gramsRange, kilowattHours, number, parseTime, percent, times, wattHours, whole} from '../format';
import {currentLanguage, t} from '../i18n';
import {newest} from '../poll';
import {hashOf, rememberInHash} from '../router';
import {isDark} from '../settings';
import {copyable, empty, figure, loading, section, showFailure} from '../ui';
import {onLeave, type Context} from '../view';
import {changeText, perUnits} from './shared';
import {daysSelect, nameOf, pathOf, type By} from './workloads';

const kLabelDays = 30;

function perUnitRows(unit: '1k-tokens' | 'request', of: PerUnit | null, key: string): Child[] {
  if (!of) return [];
  const per = perUnits(unit, [of.eur]);
  return [h('dt', {}, per.name), h('dd', {},
    figure(`${key}-gco2e`, of.gco2e, grams(times(of.gco2e, per.units))), ' · ', figure(`${key}-eur`, of.eur, euros(times(of.eur, per.units))), ' · ',
    figure(`${key}-wh`, of.wattHours, wattHours(times(of.wattHours, per.units))))];
}

function facts(w: Workload): HTMLElement {
  const row = (title: string, ...value: Child[]): Child[] => [h('dt', {}, title), h('dd', {}, ...value)];
  const range = gramsRange(w.lowGco2e, w.highGco2e);
  return h('dl', {class: 'facts', 'data-testid': 'facts'},
           row('CO₂e', figure('gco2e', w.gco2e, grams(w.gco2e)), range ? ` (${t('lowHigh')}: ${range})` : ''),
           row(t('market'), figure('market', w.marketGco2e, grams(w.marketGco2e))),
           row(t('euros'), figure('eur', w.eur, euros(w.eur))), row(t('energy'), figure('energy', w.energyKwh, kilowattHours(w.energyKwh))),
           perUnitRows('request', w.perRequest, 'request'), perUnitRows('1k-tokens', w.perThousandTokens, 'tokens'),
           row(t('changeColumn'), changeText(w.change)),
           row(t('measured'), figure('measured', w.measuredShare, percent(w.measuredShare)), ' · ', t('liveShare', {share: percent(w.liveShare)}), ' · ', t('knownShare', {share: percent(w.knownShare)})),
           row(t('pods'), whole(w.pods), ` (${number(w.podHours)} h)`), w.team ? row(t('team'), w.team) : [], w.model ? row(t('model'), w.model) : []);
}

function labelUrl(by: By, path: readonly string[], theme: string): string {
  const query = {days: kLabelDays, lang: currentLanguage(), theme};
  return by === 'model' ? urlOf('labels/model.svg', {name: path[0], ...query})
                        : urlOf(`${encodePath('labels', path[0] ?? '', path[1] ?? '')}.svg`, query);
}

function label(context: Context, by: By, path: readonly string[], w: Workload): HTMLElement {
  const text = t('label.alt', {name: nameOf(w, by), energy: w.energyClass || '–', carbon: w.carbonClass || '–'});
  const image = h('img', {class: 'label-image', src: labelUrl(by, path, isDark() ? 'dark' : 'light'), alt: text, 'data-testid': 'label'});
  const retheme = (): void => image.setAttribute('src', labelUrl(by, path, isDark() ? 'dark' : 'light'));
  document.addEventListener('sobre-theme', retheme);
  onLeave(context, () => document.removeEventListener('sobre-theme', retheme));
  const absolute = new URL(labelUrl(by, path, 'light'), document.baseURI).href.replace(/[()]/g, (c) => (c === '(' ? '%28' : '%29'));
  return section(t('label.title'), h('div', {class: 'label-box'}, image, h('div', {class: 'label-side'}, h('p', {class: 'hint'}, t('label.about', {n: kLabelDays})), copyable(`![${escapeMarkdown(text)}](${absolute})`, t('label.copy')))));
}

function trend(context: Context, found: Workloads, w: Workload, name: string): HTMLElement {
  const chart = new TimeChart(t('trendOf', {name}), [
    {label: 'gCO₂e', colour: '--grams', scale: 'g', format: (v) => grams(v), band: true},
    {label: '€', colour: '--euros', scale: 'eur', format: (v) => euros(v)},
  ], 260);
  onLeave(context, () => chart.destroy());
  const times = w.trend.map((point) => (parseTime(point.begin) ?? 0) / 1000);
  chart.set(times, w.trend.map((point) => point.gco2e), w.trend.map((point) => point.eur));
  return section(found.step === 'day' ? t('trend.byDay') : t('trend.byHour'), chart.element);
}

export function mountWorkload(context: Context, by: By): void {
  const view = by === 'model' ? 'models' : 'workloads';
  const path = context.route.path;
  const name = path[path.length - 1] ?? '';
  let days = context.route.query.get('days') ?? '7';
  context.title(name);
  const body = h('div', {}, loading());
  const next = newest(context.signal);
  const load = async (): Promise<void> => {
    const signal = next();
    try {
      const found = await get<Workloads>('workloads', {days, by, namespace: by === 'workload' ? path[0] : ''}, signal);
      const w = found.workloads.find((each) => pathOf(each, by).join('\n') === path.join('\n'));
      if (!w) {
        replace(body, empty(t('workload.none'), false));
        return;
      }
      replace(body, h('div', {class: 'two'},
                section(t('fromTo', {from: day(found.from), to: day(found.to)}), h('div', {class: 'badges'}, badge(w.energyClass, 'energy'), h('span', {}, t('energyClass')), badge(w.carbonClass, 'carbon'), h('span', {}, t('carbonClass'))), h('p', {class: 'hint'}, t('ledger.reportIs')), facts(w)),
                label(context, by, path, w)), trend(context, found, w, name));
    } catch (error) {
      showFailure(body, error);
    }
  };
  replace(context.root, h('div', {class: 'controls'}, h('a', {href: hashOf(view)}, t(by === 'model' ? 'models.back' : 'workloads.back')), daysSelect(days, (to) => {
    days = to;
    rememberInHash(view, path, {days});
    void load();
  })), body);
  void load();
}
