// Parts that several views are made of.
import {ApiError} from './api';
import {h, replace, type Child} from './dom';
import {kUnknown, known, type Maybe} from './format';
import {t} from './i18n';

// A figure: its text, and the raw number beside it. Unknown is a dash that says so.
export function figure(testId: string, raw: Maybe, text: string): HTMLElement {
  const isKnown = known(raw) && text !== kUnknown;
  return h('span', {class: isKnown ? 'figure' : 'figure unknown', 'data-testid': testId, 'data-value': isKnown ? raw : 'null',
                    title: isKnown ? null : t('unknown')}, isKnown ? text : kUnknown);
}

export function setFigure(element: HTMLElement, raw: Maybe, text: string): void {
  const isKnown = known(raw);
  element.dataset['value'] = isKnown ? String(raw) : 'null';
  element.classList.toggle('unknown', !isKnown);
  element.title = isKnown ? '' : t('unknown');
  if (element.textContent === text) return;
  // The number large, its unit small.
  const cut = text.search(/\u00a0|\/h$/);
  if (cut <= 0) element.textContent = text;
  else replace(element, text.slice(0, cut), h('span', {class: 'tile-unit'}, text.slice(cut)));
}

export function tile(testId: string, label: string): {element: HTMLElement; value: HTMLElement; note: HTMLElement} {
  const value = h('span', {class: 'tile-value figure unknown', 'data-testid': `${testId}-value`, 'data-value': 'null'}, kUnknown);
  const note = h('span', {class: 'tile-note'});
  return {element: h('div', {class: 'tile', 'data-testid': testId}, h('span', {class: 'tile-label'}, label), value, note), value, note};
}

// What the server says is English, whatever the page's language.
export function said(text: string, attributes: Record<string, string> = {}): HTMLElement {
  return h('span', {lang: 'en', ...attributes}, text);
}

export function section(title: string, ...children: Child[]): HTMLElement {
  return h('section', {class: 'panel'}, h('h2', {}, title), ...children);
}

export function chip(text: string, kind = ''): HTMLElement {
  return h('span', {class: `chip ${kind ? `chip-${kind}` : ''}`}, text);
}

export function field(label: string, control: HTMLElement, hint?: string): HTMLElement {
  return h('label', {class: 'field'}, h('span', {class: 'field-label'}, label), control, hint ? h('span', {class: 'hint'}, hint) : null);
}

export function select(options: readonly (readonly [string, string])[], value: string, onChange: (value: string) => void, testId = ''): HTMLSelectElement {
  const control = h('select', {'data-testid': testId || null, change: () => onChange(control.value)},
                    options.map(([key, text]) => h('option', {value: key, selected: key === value}, text)));
  return control;
}

export interface PlainColumn<Row> { title: string; cell: (row: Row) => Child; isNumber?: boolean }

// A small table, whole; scrolls sideways inside its own box where it is wide.
export function plainTable<Row>(caption: string, columns: readonly PlainColumn<Row>[], rows: readonly Row[], testId = ''): HTMLElement {
  return h('div', {class: 'scroll-x', tabindex: 0, role: 'region', 'aria-label': caption},
           h('table', {class: 'plain', 'data-testid': testId || null},
             h('thead', {}, h('tr', {}, columns.map((column) => h('th', {scope: 'col', class: column.isNumber ? 'n' : ''}, column.title)))),
             h('tbody', {}, rows.map((row) => h('tr', {'data-testid': testId ? `${testId}-row` : null},
               columns.map((column) => h('td', {class: column.isNumber ? 'n' : ''}, column.cell(row))))))));
}

export function empty(text: string, isSaid = true): HTMLElement {
  return h('div', {class: 'empty', 'data-testid': 'empty'}, h('p', isSaid ? {lang: 'en'} : {}, text));
}

// A failed answer, said calmly: what is not switched on is no fault.
export function showFailure(into: Element, error: unknown): void {
  if (error instanceof DOMException && error.name === 'AbortError') return;
  if (error instanceof ApiError && error.message) replace(into, empty(error.message));
  else replace(into, empty(t('error.noAnswer'), false));
}

export function loading(): HTMLElement {
  return h('p', {class: 'loading'}, t('loading'));
}

// Text that can be copied with a button.
export function copyable(text: string, label: string): HTMLElement {
  const code = h('code', {'data-testid': 'snippet'}, text);
  const button = h('button', {type: 'button', click: () => void copy()}, label);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = t('copied');
    } catch {
      // Without a secure context there is no clipboard: the text is selected instead.
      getSelection()?.selectAllChildren(code);
    }
  };
  return h('div', {class: 'copyable'}, h('pre', {tabindex: 0, role: 'region', 'aria-label': label}, code), button);
}
