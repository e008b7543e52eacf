/** Tuned kernel plans in IndexedDB, an entry an adapter: of the page's origin, and gone when its data are cleared. */
import type { TuningStore } from '../engine/index.ts';

const TABLE = 'plans';

export function browserTuningStore(database = 'ct-lite'): TuningStore {
  return {
    read: (name) => inTable(database, 'readonly', (table) => table.get(name)).then((text) => (typeof text === 'string' ? text : null)),
    write: (name, text) => inTable(database, 'readwrite', (table) => table.put(text, name)).then(() => {}),
  };
}

/** Runs one request in a transaction of its own and waits until it is written. */
async function inTable(database: string, mode: IDBTransactionMode, request: (table: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const opened = await open(database);
  try {
    return await new Promise((settle, fail) => {
      const transaction = opened.transaction(TABLE, mode);
      const pending = request(transaction.objectStore(TABLE));
      transaction.oncomplete = () => settle(pending.result);
      transaction.onerror = transaction.onabort = () => fail(storageError(transaction.error));
    });
  } finally {
    opened.close();
  }
}

function open(database: string): Promise<IDBDatabase> {
  return new Promise((settle, fail) => {
    // In private windows some browsers have no IndexedDB at all.
    if (typeof indexedDB === 'undefined') return fail(storageError(null));
    const request = indexedDB.open(database, 1);
    request.onupgradeneeded = () => void request.result.createObjectStore(TABLE);
    request.onsuccess = () => settle(request.result);
    request.onerror = () => fail(storageError(request.error));
    request.onblocked = () => fail(storageError(null));
  });
}

function storageError(cause: DOMException | null): Error {
  return new Error(`IndexedDB: ${cause?.message || 'the browser does not offer it here'}; leave private browsing, or allow this page to store data`, { cause });
}
