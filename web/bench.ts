/** The Benchmark tab: measures this machine's adapter, shows the report and what can be done with it. */
import type { BenchOptions } from '../bench/options.ts';
import type { Report } from '../bench/report.ts';
import { runInWorker } from './bench_client.ts';
import { show, showLinked, startShown } from './bench_shown.ts';
import { element } from './dom.ts';
import { startEditor } from './editor.ts';
import { HiddenWatch } from './hidden.ts';
import { Stoppable } from './stoppable.ts';

const bench = new Stoppable('bench');
const chosen = (id: string): string | undefined => element<HTMLSelectElement>(id).value || undefined;

const hiddenNote = 'The tab was hidden while this ran: its figures are void';

function settings(): BenchOptions {
  const part = chosen('bench-what');
  return {
    only: part ? [part] : undefined,
    quick: element<HTMLInputElement>('bench-quick').checked,
    config: chosen('bench-config'),
  };
}

/** Measures and shows the report as it grows; one of a tab that was hidden says so. */
async function measure(signal: AbortSignal): Promise<void> {
  const { status } = bench;
  let latest: Report | undefined;
  const showLatest = () => {
    if (latest) show(watch.hidden ? { ...latest, notes: [hiddenNote, ...latest.notes] } : latest, 'this run');
  };
  const watch = new HiddenWatch(showLatest);
  const onReport = (report: Report) => {
    latest = report;
    showLatest();
  };
  status.textContent = 'Opening a device …';
  try {
    const onProgress = (step: string) => (status.textContent = `Measuring ${step} …`);
    onReport(await runInWorker(settings(), { signal, onProgress, onReport }));
    status.textContent = watch.hidden ? `${hiddenNote}.` : 'Done.';
  } finally {
    watch.end();
  }
}

/** @param openTab shows this tab */
export function startBench(openTab: () => void): void {
  element('bench-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void bench.run(measure);
  });
  startShown();
  startEditor();
  const recall = async () => {
    if (await showLinked()) openTab();
  };
  addEventListener('hashchange', () => void recall());
  void recall();
}
