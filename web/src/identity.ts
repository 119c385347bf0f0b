// Who looks, where the port wants to know it: a token of the cluster, and the one namespace that it is for, if it is. Kept for
// this tab alone, and sent nowhere but to the port itself.
export interface Identity { token: string; namespace: string }

const kKeys = {token: 'sobre.token', namespace: 'sobre.namespace'} as const;
let current: Identity = {token: read('token'), namespace: read('namespace')};

function read(key: keyof typeof kKeys): string {
  try {
    return sessionStorage.getItem(kKeys[key]) ?? '';
  } catch {
    return '';
  }
}

export const identity = (): Readonly<Identity> => current;

export function identify(next: Identity): void {
  current = next;
  try {
    sessionStorage.setItem(kKeys.token, next.token);
    sessionStorage.setItem(kKeys.namespace, next.namespace);
  } catch {
    // A browser that keeps nothing asks again.
  }
}

// What tells of one namespace where it is asked to.
const kByNamespace: ReadonlySet<string> = new Set(['decisions', 'policy', 'recommendations', 'workloads']);
export const tellsOfOne = (path: string): boolean => kByNamespace.has(path);
