/** Tuned plans in IndexedDB. Runs in a page. */
import { describe, expect, it } from 'vitest';
import { browserTuningStore } from '../../../src/platform/browser-tuning-store.ts';

describe('browserTuningStore', () => {
  it('keeps texts by name across stores', async () => {
    const database = `test-${Math.random()}`;
    expect(await browserTuningStore(database).read('one')).toBe(null);
    await browserTuningStore(database).write('one', 'first');
    await browserTuningStore(database).write('one', 'second');
    await browserTuningStore(database).write('two', 'other');
    expect([await browserTuningStore(database).read('one'), await browserTuningStore(database).read('two')]).toEqual(['second', 'other']);
    indexedDB.deleteDatabase(database);
  });

  it('says where a database cannot be used', async () => {
    const database = `test-${Math.random()}`;
    await new Promise<void>((settle) => {
      const request = indexedDB.open(database, 2); // a later version of the program was here
      request.onsuccess = () => (request.result.close(), settle());
    });
    await expect(browserTuningStore(database).read('one')).rejects.toThrow(/^IndexedDB: .*; leave private browsing/);
    indexedDB.deleteDatabase(database);
  });
});
