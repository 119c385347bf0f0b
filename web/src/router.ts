// "#/decisions/shop%2Fweb-1?price=300" is a view, its path and its parameters.
export interface Route { view: string; path: string[]; query: URLSearchParams }

export function parseHash(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split('?', 2);
  const parts = path.split('/').filter((part) => part !== '').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return {view: parts[0] ?? 'now', path: parts.slice(1), query: new URLSearchParams(query)};
}

export function hashOf(view: string, path: readonly string[] = [], query: Record<string, string> = {}): string {
  const parameters = new URLSearchParams(query).toString();
  return `#/${[view, ...path].map(encodeURIComponent).join('/')}${parameters ? `?${parameters}` : ''}`;
}

// Remembers what a view was set to in the address, without a new step in the history.
export function rememberInHash(view: string, path: readonly string[], query: Record<string, string>): void {
  history.replaceState(null, '', hashOf(view, path, query));
}
