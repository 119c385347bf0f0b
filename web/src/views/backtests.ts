// Results of `sobre backtest`: policies side by side on the same work, what they took by the hour, and where it ran.
import {encodePath, get, type Backtest, type BacktestPolicy, type Backtests} from '../api';
import {Scatter} from '../charts/scatter';
import {TimeChart} from '../charts/time';
import {h, replace, setText} from '../dom';
import {dateTime, euros, grams, known, number, parseTime, percent, signedPercent, whole, type Maybe} from '../format';
import {t} from '../i18n';
import {newest} from '../poll';
import {rememberInHash} from '../router';
import {empty, field, figure, loading, plainTable, said, section, select, showFailure} from '../ui';
import {onLeave, type Context, type View} from '../view';

const kHour = 3600;

const share = (part: number, whole: number): Maybe => whole > 0 ? part / whole : null;
const change = (value: Maybe, base: Maybe): Maybe => known(value) && known(base) && base > 0 ? value / base - 1 : null;
// Cheapest first, each cleaner than all before it.
function front(policies: readonly BacktestPolicy[]): number[] {
  const order = policies.map((_, i) => i).filter((i) => known(policies[i]?.total.eur_per_vcpu_hour) && known(policies[i]?.total.gco2e_per_vcpu_hour))
      .sort((a, b) => (policies[a]?.total.eur_per_vcpu_hour ?? 0) - (policies[b]?.total.eur_per_vcpu_hour ?? 0) ||
                      (policies[a]?.total.gco2e_per_vcpu_hour ?? 0) - (policies[b]?.total.gco2e_per_vcpu_hour ?? 0));
  let least = Infinity;
  return order.filter((i) => {
    const value = policies[i]?.total.gco2e_per_vcpu_hour ?? Infinity;
    if (value >= least) return false;
    least = value;
    return true;
  });
}

function comparison(result: Backtest): HTMLElement {
  const base = result.policies[0];
  const cost = (value: Maybe, against: Maybe, text: string, id: string): (HTMLElement | string)[] =>
    [figure(id, value, text), ' ', h('span', {class: 'hint'}, signedPercent(change(value, against)))];
  return plainTable(t('backtests.compared'), [
    {title: t('backtests.policy'), cell: (p: BacktestPolicy) => h('span', {class: 'backtest-policy'}, p.policy)},
    {title: t('backtests.grams'), isNumber: true, cell: (p) => cost(p.total.gco2e_per_vcpu_hour, base?.total.gco2e_per_vcpu_hour, grams(p.total.gco2e_per_vcpu_hour), 'gco2e')},
    {title: t('backtests.euros'), isNumber: true, cell: (p) => cost(p.total.eur_per_vcpu_hour, base?.total.eur_per_vcpu_hour, euros(p.total.eur_per_vcpu_hour), 'eur')},
    {title: t('backtests.requests'), isNumber: true, cell: (p) => grams(p.total.gco2e_per_1k_requests)},
    {title: t('backtests.pods'), isNumber: true, cell: (p) => whole(p.placed)},
    {title: t('backtests.gated'), isNumber: true, cell: (p) => p.gated > 0 ? `${whole(p.gated)} · ${number(p.gated_hours / p.gated)} h` : '–'},
    {title: t('backtests.queued'), isNumber: true, cell: (p) => whole(p.queued)},
    {title: t('backtests.without'), isNumber: true, cell: (p) => whole(p.without_place)},
    {title: t('backtests.cpu'), isNumber: true, cell: (p) => percent(p.cpu_reserved)},
  ], result.policies, 'backtest-policies');
}

function places(result: Backtest): HTMLElement {
  const regions = result.policies[0]?.places.map((place) => place.region) ?? [];
  return plainTable(t('backtests.places'), [
    {title: t('backtests.policy'), cell: (p: BacktestPolicy) => h('span', {class: 'backtest-policy'}, p.policy)},
    ...regions.map((region) => ({title: region, isNumber: true, cell: (p: BacktestPolicy) => {
      const place = p.places.find((each) => each.region === region);
      return place ? percent(share(place.vcpu_hours, p.total.vcpu_hours)) : '–';
    }})),
  ], result.policies, 'backtest-places');
}

// What one result is drawn with; `end` lets go of it.
function draw(into: HTMLElement, result: Backtest): () => void {
  const policies = result.policies;
  const readout = h('p', {class: 'hint', 'aria-live': 'polite', 'data-testid': 'backtest-point'}, t('backtests.point'));
  const scatter = new Scatter(t('backtests.front'), {x: '€/vCPU·h', y: 'gCO₂e/vCPU·h'}, (index) => {
    const policy = index === null ? undefined : policies[index];
    setText(readout, policy ? `${policy.policy}: ${euros(policy.total.eur_per_vcpu_hour)}, ${grams(policy.total.gco2e_per_vcpu_hour)}` : t('backtests.point'));
  });
  scatter.set({x: policies.map((p) => p.total.eur_per_vcpu_hour), y: policies.map((p) => p.total.gco2e_per_vcpu_hour), dim: policies.map(() => false),
               front: front(policies), best: []});
  const hourly = h('div');
  let charts: TimeChart[] = [];
  const drawHours = (name: string): void => {
    for (const chart of charts) chart.destroy();
    const base = policies[0];
    const shown = policies.find((p) => p.policy === name) ?? base;
    if (!base || !shown) return;
    const begin = (parseTime(result.counted_from) ?? 0) / 1000;
    const times = base.hours.map((_, i) => begin + i * kHour);
    const chart = (label: string, colour: string, scale: string, format: (v: number) => string, of: (hour: BacktestPolicy['hours'][number]) => number): TimeChart => {
      const made = new TimeChart(label, [{label: shown.policy, colour, scale, format, band: true}, {label: base.policy, colour: '--point', scale, format}], 200);
      made.set(times, shown.hours.map(of), base.hours.map(of));
      return made;
    };
    charts = [chart(t('backtests.gramsByHour'), '--grams', 'g', (v) => grams(v), (hour) => hour.operational_gco2e + hour.embodied_gco2e),
              chart(t('backtests.eurosByHour'), '--euros', 'eur', (v) => euros(v), (hour) => hour.eur)];
    replace(hourly, h('h3', {}, t('backtests.gramsByHour')), charts[0]?.element, h('h3', {}, t('backtests.eurosByHour')), charts[1]?.element);
  };
  const second = policies[1]?.policy ?? policies[0]?.policy ?? '';
  const chosen = select(policies.map((p) => [p.policy, p.policy] as const), second, drawHours, 'backtest-policy');
  replace(into,
          section(result.scenario, h('p', {class: 'hint'}, t('backtests.hours', {from: dateTime(result.counted_from), n: whole(result.hours), seed: result.seed})),
                  result.warnings.length > 0 ? h('ul', {class: 'warnings', 'data-testid': 'backtest-warnings'}, result.warnings.map((text) => h('li', {class: 'warning warning-warning'}, said(text)))) : null,
                  comparison(result)),
          section(t('backtests.front'), scatter.element, readout),
          section(t('backtests.byHour'), field(t('backtests.against', {policy: policies[0]?.policy ?? ''}), chosen), hourly),
          section(t('backtests.places'), places(result)),
          result.notes.length > 0 ? section(t('backtests.notes'), h('ul', {}, result.notes.map((text) => h('li', {}, said(text))))) : null);
  drawHours(second);
  return () => {
    scatter.destroy();
    for (const chart of charts) chart.destroy();
  };
}

async function mountAll(context: Context): Promise<void> {
  replace(context.root, loading());
  let end = (): void => undefined;
  onLeave(context, () => end());
  try {
    const found = (await get<Backtests>('backtests', {}, context.signal)).backtests;
    const first = found.find((each) => each.name === context.route.path[0]) ?? found.find((each) => !each.problem) ?? found[0];
    if (!first) {
      replace(context.root, empty(t('backtests.none'), false));
      return;
    }
    const body = h('div');
    const next = newest(context.signal);
    const show = async (name: string): Promise<void> => {
      const signal = next();
      rememberInHash('backtests', [name], {});
      end();
      end = () => undefined;
      replace(body, loading());
      try {
        const result = await get<Backtest>(encodePath('backtests', name), {}, signal);
        end = draw(body, result);
      } catch (error) {
        showFailure(body, error);
      }
    };
    replace(context.root, h('form', {class: 'controls', submit: (event: Event) => event.preventDefault()},
                            field(t('backtests.which'), select(found.map((each) => [each.name, each.problem ? `${each.name} ⚠` : each.scenario || each.name] as const), first.name, (name) => void show(name), 'backtest')),), body);
    await show(first.name);
  } catch (error) {
    showFailure(context.root, error);
  }
}

export const backtests: View = {id: 'backtests', name: 'nav.backtests', mount: (context) => void mountAll(context)};
