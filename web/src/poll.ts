// Runs `work` now and `intervalMs` after each end, but not while the page is hidden; at once when it
// is seen again. Stops when the signal is aborted.
export function every(intervalMs: number, signal: AbortSignal, work: () => Promise<void>): void {
  let timer = 0;
  let busy = false;
  const run = async (): Promise<void> => {
    clearTimeout(timer);
    if (busy || signal.aborted || document.hidden) return;
    busy = true;
    try {
      await work();
    } finally {
      busy = false;
      if (!signal.aborted && !document.hidden) timer = window.setTimeout(() => void run(), intervalMs);
    }
  };
  const onVisibility = (): void => void run();
  document.addEventListener('visibilitychange', onVisibility);
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', onVisibility);
  });
  void run();
}

// For the newest of several tries: each signal that it gives ends the one before.
export function newest(signal: AbortSignal): () => AbortSignal {
  let current = new AbortController();
  signal.addEventListener('abort', () => current.abort());
  return () => {
    current.abort();
    current = new AbortController();
    if (signal.aborted) current.abort();
    return current.signal;
  };
}

export function debounce<A extends unknown[]>(ms: number, signal: AbortSignal, run: (...args: A) => void): (...args: A) => void {
  let timer = 0;
  signal.addEventListener('abort', () => clearTimeout(timer));
  return (...args: A) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => run(...args), ms);
  };
}
