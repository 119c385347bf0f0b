// What the second port answers, as it stands in its contract. Unknown numbers are null.
import {identity, tellsOfOne} from './identity';

export type Num = number | null;

export interface Decision {
  seq: number; time: string; pod: string; namespace: string; workload: string; model: string; uid: string;
  verb: string; best: string; bound: string; followed: boolean | null; reason: string; objective: string;
  candidates: number; refused: number; bestRefused: string; shadow: boolean; unit: string;
  eurPerUnit: Num; gco2ePerUnit: Num; eurPerHour: Num; gco2ePerHour: Num;
  meanEurPerHour: Num; meanGco2ePerHour: Num; energyClass: string; carbonClass: string;
  // Of the ledger that was ranked, which is named; all other figures are of the report ledger.
  ledger: string; placementEurPerUnit: Num; placementGco2ePerUnit: Num; meanPlacementGco2ePerUnit: Num;
  problems: string[]; policyFrom: string[];
}
export interface DecisionBatch { decisions: Decision[]; skipped: number }
export interface Outcome { uid: string; node: string; followed: boolean }

export interface Change { gco2e: Num; gco2eShare: Num; eur: Num; eurShare: Num }
export interface Running {
  time: string; pods: number; knownPods: number; eurPerHour: Num; gco2ePerHour: Num;
  lowGco2ePerHour: Num; highGco2ePerHour: Num; watts: Num; requestsPerHour: Num;
  eurPerRequest: Num; gco2ePerRequest: Num; wattHoursPerRequest: Num; measuredShare: Num; liveShare: Num;
}
export interface Overview {
  time: string; version: string; algorithm: number; catalogue: string; ready: boolean; notReady: string;
  nodes: number; places: number; watchedPods: number; bindings: number; snapshotTime: string;
  decisions: { total: number; unranked: number; annotationProblems: number; refusedNodes: number };
  records: {
    enabled: boolean; chain: string; entries: number; headHash: string; backlog: number; dropped: number;
    problem: string; shippingProblem: string; outcomes: number; followed: number; open: number;
  };
  running: Running | null;
  accounted: {
    from: string; to: string; gco2e: Num; eur: Num; energyKwh: Num; requests: Num;
    change: Change | null; measuredShare: Num; liveShare: Num;
  } | null;
  signals: { signal: string; unit: string; used: number; stale: number; other: number; newest: string }[];
  findings: { error: number; warning: number; note: number };
  notes: string[];
}

// Proto JSON: what is unknown is absent.
export interface Range { low: number; mid: number; high: number }
export interface Sourced { value: number; source: string; time: string; unit: string; method: string }
export interface Candidate {
  node: string; score: number; provider: string; region: string; gridZone: string; hardwareClass: string;
  withinTolerance: boolean; tieWithBest: boolean; speedAssumed: boolean; priceEstimated: boolean;
  powerBasis: string; refused: string;
  placement?: { addedWatts?: number; whPerUnit?: number; gco2ePerUnit?: Range; eurPerUnit?: number };
  report?: {
    watts?: number; whPerUnit?: Range; gco2ePerUnit?: Range; eurPerUnit?: number;
    energyClass: string; carbonClass: string;
  };
  gridGco2ePerKwh?: Sourced; pue?: Sourced; wattsPerVcpu?: Sourced; nodeEurPerHour?: Sourced;
  measuredNodeWatts?: Sourced; electricityEurPerKwh?: Sourced; listNodeEurPerHour?: Sourced;
  measuredCpuWatts?: Sourced; measuredGpuWatts?: Sourced; wattsPerAccelerator?: Sourced;
}
export interface Step { from: number; node: string }
export interface FullDecision {
  time: string; algorithmVersion: number; catalogVersion: string;
  pod: { namespace: string; name: string; workload: string };
  policy: { objective: string; costTolerancePercent: number; carbonPriceEurPerTonne: number };
  rankedBy: string; intensityBasis: string; ledger: string; unit: string; best: string[]; reason: string; notes: string[];
  candidates: Candidate[]; candidatesLeftOff?: number; paretoFront: string[];
  carbonPriceSteps: Step[]; costTolerancePercentSteps: Step[]; bestRefused: string; mode: string; rate?: Sourced;
}
export interface RefusedNode { node: string; provider: string; region: string; reason: string; eurPerUnit: Num; gco2ePerUnit: Num }
export interface DecisionDetail {
  id: string; pod: string; attempt: number; attempts: number;
  calls: { id: string; verb: string; answered: string; candidates: number; refused: number }[];
  outcome: { node: string; why: string; text: string } | null;
  refused?: RefusedNode[]; refusedLeftOff?: number; againstTheMean?: string; check: string; decision: FullDecision | null;
  whatWouldChange?: string[]; policyFrom?: string[]; policyValues?: { key: string; value: string; origin: string }[];
}
export interface WhatIf {
  id: string; policy: { objective: string; costTolerancePercent: number; carbonPriceEurPerTonne: number };
  best: string[]; bestBefore: string[]; reason: string; unit: string;
  candidates: {
    node: string; score: number; scoreBefore: number; refused: string;
    eurPerUnit: Num; gco2ePerUnit: Num; pricedEurPerUnit: Num; withinTolerance: boolean;
  }[];
  carbonPriceSteps: Step[]; costToleranceSteps: Step[];
}

export interface Amounts { vcpu: Num; memoryGib: Num; gpus: Num }
export interface Region {
  provider: string; region: string; country: string; gridZone: string; nodes: number;
  gco2ePerKwh: Num; live: boolean; intensityFrom: string; intensityTime: string;
  catalogueGco2ePerKwh: Num; marketGco2ePerKwh: Num; pue: Num; pueFrom: string;
  lowEurPerVcpuHour: Num; highEurPerVcpuHour: Num; priceEstimated: boolean; electricityEurPerKwh: Num;
  allocatable: Amounts; free: Amounts; operator: string; operatorCountry: string; parentCountry: string;
  exposure: string; attested: boolean;
  certifications: { scheme: string; version: string; scope: string; expires: string; state: 'valid' | 'expired' | 'unknown'; source: string }[];
  forecast: { time: string; gco2ePerKwh: Num }[];
}
export interface NodeColumns {
  node: string[]; provider: string[]; region: string[]; gridZone: string[]; hardwareClass: string[];
  score: Num[]; eurPerHour: Num[]; gco2ePerHour: Num[]; lowGco2ePerHour: Num[]; highGco2ePerHour: Num[];
  watts: Num[]; gco2ePerKwh: Num[]; priceEstimated: boolean[]; powerFrom: string[];
  vcpu: Num[]; freeVcpu: Num[]; freeMemoryGib: Num[]; fits: boolean[];
}
export interface Ranking {
  time: string; pod: { vcpu: number; memoryGib: number; gpus: number }; objective: string;
  carbonPriceEurPerTonne: number; costTolerancePercent: number; intensityBasis: string;
  nodes: NodeColumns; paretoFront: number[]; best: number[];
}

export interface PerUnit { wattHours: Num; gco2e: Num; eur: Num }
export interface TrendPoint { begin: string; gco2e: Num; eur: Num; energyKwh: Num; requests: Num; tokens: Num }
export interface Workload {
  namespace: string; workload: string; model: string; team: string; kind: string; pods: number; podHours: Num;
  energyKwh: Num; gco2e: Num; lowGco2e: Num; highGco2e: Num; marketGco2e: Num; eur: Num; requests: Num; tokens: Num;
  perRequest: PerUnit | null; perThousandTokens: PerUnit | null; energyClass: string; carbonClass: string;
  energyUnit: string; measuredShare: Num; liveShare: Num; knownShare: Num; change: Change | null; trend: TrendPoint[];
}
export interface Workloads {
  from: string; to: string; by: string; step: string; workloads: Workload[]; leftOff: number; notes: string[];
}

export interface BacktestHour { energy_kwh: number; operational_gco2e: number; embodied_gco2e: number; eur: number; vcpu_hours: number; requests: number }
export interface BacktestPolicy {
  policy: string; objective: string;
  total: BacktestHour & { gco2e_per_vcpu_hour: Num; eur_per_vcpu_hour: Num; gco2e_per_1k_requests: Num; eur_per_1k_requests: Num };
  pods: number; placed: number; gated: number; gated_hours: number; queued: number; queued_hours: number; without_place: number; cpu_reserved: number;
  places: { region: string; pods: number; vcpu_hours: number; gco2e: number }[];
  hours: BacktestHour[];
}
export interface Backtest {
  scenario: string; start: string; counted_from: string; hours: number; seed: number;
  policies: BacktestPolicy[]; warnings: string[]; notes: string[];
}
export interface Backtests { backtests: { name: string; scenario: string; start: string; hours: number; policies: number; problem: string }[] }

export interface PolicyEntry { key: string; value: string; origin: string; enforced: boolean; hard: boolean }
export interface Policy {
  cluster: PolicyEntry[];
  namespaces: { namespace: string; team: string; entries: PolicyEntry[]; problems: string[] }[];
  gatesLeftOff?: number;
  gates: { namespace: string; pod: string; since: string; until: string; condition: string; state: string }[];
  mode: string;
}

export interface Finding { severity: string; about: string; text: string; repair: string }
export interface Signals {
  time: string; findings: Finding[];
  servers: {
    name: string; url: string; problem: string; clockAheadSeconds: number;
    presets: { name: string; about: string; automatic: boolean; found: boolean }[];
    queries: {
      signal: string; source: string; query: string; preset: string; idle: string; answered: string;
      milliseconds: number; series: number; bytes: number; failures: number; problem: string;
    }[];
  }[];
  signals: {
    signal: string; unit: string; used: number; stale: number; implausible: number; reset: number; foreign: number;
    unmatched: number; superseded: number; duplicate: number; disagreements: number; oldest: string; newest: string;
  }[];
  places: { provider: string; region: string; zone: string; catalogueGco2ePerKwh: Num; liveGco2ePerKwh: Num; electricityEurPerKwh: Num }[];
  calibration: {
    machine: string; boundary: string; points: number; nodes: number; idleWatts: Num; fullWatts: Num; error: Num;
    used: boolean; whyNot: string;
  }[];
}

export interface ReportLine {
  names?: Record<string, string>; pod_hours: Num; energy_kwh: Num;
  gco2e: { operational_market_based: Num; total_location_based: Range | null };
  eur: Num; requests: Num; tokens: Num;
  per_request: { watt_hours: Num; gco2e: Num; eur: Num } | null;
  per_1k_tokens: { watt_hours: Num; gco2e: Num; eur: Num } | null;
  energy_class: string | null; carbon_class: string | null;
  quality: { measured_share_of_energy: Num; live_share_of_operational_gco2e: Num; gco2e_known_share_of_pod_hours: Num };
  change_against_mean_candidate: { gco2e: Num; gco2e_share: Num } | null;
}
export interface Report {
  from: string; to: string; covered: { from: string; to: string; hours: number } | null;
  by: string[]; groups: ReportLine[]; total: ReportLine;
  timeline: {
    step_hours: number;
    moments: { begin: string; operational_location_based_gco2e: Num; embodied_gco2e: Num; eur: Num }[];
  };
  notes: string[];
}

export interface Budgets {
  through: string | null; month: string | null;
  budgets: {
    budget: string; kind: 'eur' | 'gco2e'; limit: number; used: number; usedRatio: number;
    forecast: Num; forecastLow: Num; forecastHigh: Num; state: string;
  }[];
}

interface PerHour { gco2ePerHour: Num; eurPerHour: Num }
export interface Recommendation {
  id: string; kind: 'move' | 'rightsizing'; state: string; note: string; opened: string; changed: string; lastHeld: string;
  namespace: string; workload: string; from: string; to: string; pods: number; unit: string; rankedBy: string;
  now: PerHour; there: PerHour; saved: PerHour; net: PerHour; cost: { gco2e: Num; eur: Num };
  holdsOnMean: 'yes' | 'no' | 'unknown';
  cpu: { requestedVcpus: number; peakVcpus: number; suggestedVcpus: number } | null;
  moved: number; evictions: number; lastEviction: string;
  measured: { before: PerHour; after: PerHour; saved: PerHour; afterHours: number } | null;
}
export interface Recommendations {
  enabled: boolean; evicts: boolean; maxEvictionsPerHour: number; minHoursBetween: number; windowHours: number;
  recommendations: Recommendation[]; leftOff: number; problem: string;
}

export class ApiError extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

export type Query = Record<string, string | number | null | undefined>;

// Relative: it works behind any path prefix. What is empty is left out.
export function urlOf(path: string, query: Query = {}): string {
  const parameters = Object.entries(query)
      .filter(([, value]) => value !== null && value !== undefined && value !== '')
      .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return `api/v1/${path}${parameters.length > 0 ? `?${parameters.join('&')}` : ''}`;
}

// That the port wants to know who looks, or did not like who it was.
export const kWhoLooks = 'sobre-who-looks';

// Throws ApiError with the server's sentence; status 0 where there was no answer.
export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  let response: Response;
  const {token, namespace} = identity();
  const asked = namespace && tellsOfOne(path) ? {namespace, ...query} : query;
  const headers = {accept: 'application/json', ...(token ? {authorization: `Bearer ${token}`} : {})};
  try {
    response = await fetch(urlOf(path, asked), {headers, ...(signal ? {signal} : {})});
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, '');
  }
  if (response.ok) return await response.json() as T;
  const text = await response.text();
  let message = text.slice(0, 500);
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && 'error' in body) message = String(body.error);
  } catch {
    // Not JSON: a proxy's page, perhaps. Its text is all there is.
  }
  if (response.status === 401 || response.status === 403) document.dispatchEvent(new CustomEvent(kWhoLooks, {detail: message}));
  throw new ApiError(response.status, message);
}

export const encodePath = (...parts: string[]): string => parts.map(encodeURIComponent).join('/');
