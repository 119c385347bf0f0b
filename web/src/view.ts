import type {Key} from './i18n';
import type {Route} from './router';

export interface Context {
  root: HTMLElement;
  route: Route;
  signal: AbortSignal;  // aborted when the view is left
  announce(text: string): void;  // to screen readers, politely
  title(text: string): void;
}

export interface View {
  id: string;
  name: Key;
  mount(context: Context): void;
}

export function onLeave(context: Context, run: () => void): void {
  context.signal.addEventListener('abort', run);
}
