// A table of which only the visible rows are in the page. Sorted by its heads; arrow keys, Page and
// Home/End go from row to row.
import {h, replace, type Child} from './dom';
import {t} from './i18n';

export interface TableColumn<Row> {
  key: string;
  title: string;
  cell: (row: Row) => Child;
  // What it is sorted by: unknown (null) comes last both ways.
  order?: (row: Row) => number | string | null;
  isNumber?: boolean;
  raw?: (row: Row) => number | null;  // for tests: the cell's data-value
}

export interface TableOptions<Row> {
  caption: string;
  testId: string;
  rowHeight: number;
  keyOf: (row: Row) => string;
  open?: (row: Row) => void;
  focused?: (row: Row | null) => void;
  sortBy?: string;
  descending?: boolean;
}

const kCollator = new Intl.Collator(undefined, {numeric: true});

export function compare(a: number | string | null, b: number | string | null, sign: 1 | -1): number {
  if (a === null || a === '') return b === null || b === '' ? 0 : 1;
  if (b === null || b === '') return -1;
  if (typeof a === 'number' && typeof b === 'number') return sign * (a - b);
  return sign * kCollator.compare(String(a), String(b));
}

const kOver = 6;

export class VirtualTable<Row> {
  readonly element: HTMLElement;
  private readonly body: HTMLElement;
  private readonly table: HTMLTableElement;
  private readonly heads: HTMLTableCellElement[] = [];
  private readonly observer: ResizeObserver;
  private rows: Row[] = [];
  private sortKey: string | undefined;
  private sign: 1 | -1;
  private active = 0;
  private shown = '';
  private frame = 0;

  constructor(private readonly columns: readonly TableColumn<Row>[], private readonly options: TableOptions<Row>) {
    this.sortKey = options.sortBy;
    this.sign = options.descending ? -1 : 1;
    this.body = h('tbody', {
      keydown: (event: KeyboardEvent) => this.key(event),
      focusin: (event: FocusEvent) => this.take(event.target),
      click: (event: MouseEvent) => this.click(event),
    });
    this.table = h('table', {class: 'grid', role: 'grid', 'aria-label': options.caption, 'data-testid': options.testId},
                   h('thead', {}, h('tr', {'aria-rowindex': 1}, columns.map((column) => this.head(column)))), this.body);
    this.element = h('div', {class: 'grid-box', scroll: () => this.later()}, this.table);
    this.element.style.setProperty('--row', `${options.rowHeight}px`);
    this.observer = new ResizeObserver(() => this.later());
    this.observer.observe(this.element);
  }

  set(rows: readonly Row[]): void {
    this.rows = [...rows];
    this.sort();
  }

  destroy(): void {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }

  private head(column: TableColumn<Row>): HTMLTableCellElement {
    const cell = h('th', {scope: 'col', class: column.isNumber ? 'n' : ''},
                   column.order ? h('button', {type: 'button', class: 'sort', click: () => this.sortOn(column)}, column.title) : column.title);
    this.heads.push(cell);
    return cell;
  }

  private sortOn(column: TableColumn<Row>): void {
    this.sign = this.sortKey === column.key ? (this.sign === 1 ? -1 : 1) : 1;
    this.sortKey = column.key;
    this.active = 0;
    this.element.scrollTop = 0;
    this.sort();
  }

  private sort(): void {
    const column = this.columns.find((each) => each.key === this.sortKey);
    const order = column?.order;
    if (order) {
      const keyed = this.rows.map((row) => ({row, key: order(row)}));
      keyed.sort((a, b) => compare(a.key, b.key, this.sign));
      this.rows = keyed.map((each) => each.row);
    }
    this.columns.forEach((each, i) => {
      if (each === column) this.heads[i]?.setAttribute('aria-sort', this.sign === 1 ? 'ascending' : 'descending');
      else this.heads[i]?.removeAttribute('aria-sort');
    });
    this.table.setAttribute('aria-rowcount', String(this.rows.length + 1));
    this.active = Math.min(this.active, Math.max(0, this.rows.length - 1));
    this.shown = '';
    this.render();
  }

  private later(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.render());
  }

  private render(): void {
    const height = this.options.rowHeight;
    const first = Math.max(0, Math.floor(this.element.scrollTop / height) - kOver);
    const last = Math.min(this.rows.length, Math.ceil((this.element.scrollTop + (this.element.clientHeight || 600)) / height) + kOver);
    const shown = `${first} ${last}`;
    if (shown === this.shown) return;
    this.shown = shown;
    const focused = this.body.contains(document.activeElement);
    const rows: Child[] = [this.spacer(first * height)];
    if (this.rows.length === 0) rows.push(h('tr', {}, h('td', {colspan: this.columns.length, class: 'empty-cell'}, t('table.empty'))));
    for (let i = first; i < last; ++i) rows.push(this.row(i));
    rows.push(this.spacer((this.rows.length - last) * height));
    // A row that has the focus and left the window hands it to the nearest that is there.
    if (this.active < first || this.active >= last) this.active = Math.min(Math.max(this.active, first), Math.max(first, last - 1));
    replace(this.body, rows);
    const active = this.activeRow();
    if (active) active.tabIndex = 0;
    if (focused) active?.focus({preventScroll: true});
  }

  private spacer(height: number): Child {
    if (height <= 0) return null;
    const cell = h('td', {colspan: this.columns.length});
    cell.style.setProperty('height', `${height}px`);
    return h('tr', {class: 'spacer', 'aria-hidden': 'true'}, cell);
  }

  private row(i: number): HTMLElement {
    const row = this.rows[i] as Row;
    return h('tr', {class: this.options.open ? 'opens' : '', 'aria-rowindex': i + 2, 'data-index': i, tabindex: -1,
                    'data-testid': 'row', 'data-key': this.options.keyOf(row)},
             this.columns.map((column) =>
               h('td', {class: column.isNumber ? 'n' : '', 'data-column': column.key, 'data-value': column.raw?.(row)}, column.cell(row))));
  }

  private activeRow(): HTMLElement | null {
    return this.body.querySelector<HTMLElement>(`tr[data-index="${this.active}"]`);
  }

  private take(target: EventTarget | null): void {
    const row = target instanceof Element ? target.closest<HTMLElement>('tr[data-index]') : null;
    if (!row) return;
    const before = this.activeRow();
    if (before) before.tabIndex = -1;
    this.active = Number(row.dataset['index']);
    row.tabIndex = 0;
    this.options.focused?.(this.rows[this.active] ?? null);
  }

  private click(event: MouseEvent): void {
    if (event.target instanceof Element && event.target.closest('a, button')) return;
    this.take(event.target);
    const row = this.rows[this.active];
    if (row && event.target instanceof Element && event.target.closest('tr[data-index]')) this.options.open?.(row);
  }

  private key(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.options.rowHeight) - 2);
    const to = {ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page,
                PageUp: this.active - page, Home: 0, End: this.rows.length - 1}[event.key];
    if (event.key === 'Enter' && event.target instanceof HTMLTableRowElement) {
      const row = this.rows[this.active];
      if (row) this.options.open?.(row);
    }
    if (to === undefined) return;
    event.preventDefault();
    this.active = Math.min(this.rows.length - 1, Math.max(0, to));
    const top = this.active * this.options.rowHeight;
    const room = this.element.clientHeight - this.options.rowHeight * 2;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + room) this.element.scrollTop = top - room;
    this.shown = '';
    this.render();
    this.activeRow()?.focus({preventScroll: true});
  }
}
