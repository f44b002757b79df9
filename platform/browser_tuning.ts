/** What the tuner measured, in this origin's IndexedDB: for each adapter, driver and version of the browser. */
import type { TuningStore } from '../engine/tuning.ts';

const database = 'mmar',
  table = 'tuning';

/** A browser that keeps nothing for this page is one that has nothing. */
export const browserTuning: TuningStore & { clear(): Promise<void> } = {
  async load(identity) {
    const kept = await request('readonly', (store) => store.get(identity)).catch(() => undefined);
    return typeof kept === 'string' ? kept : undefined;
  },

  async save(identity, text) {
    await request('readwrite', (store) => store.put(text, identity)).catch(() => {});
  },

  /** Forgets every adapter's. */
  async clear() {
    await request('readwrite', (store) => store.clear()).catch(() => {});
  },
};

/** Does one thing in a transaction: all of it or nothing. */
async function request(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const opening = indexedDB.open(database, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(table);
  const db = await settled(opening);
  try {
    return await settled(ask(db.transaction(table, mode).objectStore(table)));
  } finally {
    db.close();
  }
}

const settled = <T>(asked: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
