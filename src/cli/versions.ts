/** Versions of this package and of those it stands on, from their package.json files. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Version of an installed package, or of `ct-lite` itself; null where it is not installed. */
export function packageVersion(name: string): string | null {
  try {
    const inside = name === 'ct-lite' ? fileURLToPath(import.meta.url) : createRequire(import.meta.url).resolve(name);
    for (let folder = dirname(inside); ; folder = dirname(folder)) {
      const version = versionIn(folder, name);
      if (version !== null || folder === dirname(folder)) return version;
    }
  } catch {
    return null;
  }
}

function versionIn(folder: string, name: string): string | null {
  try {
    const json = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string; version?: string };
    return json.name === name ? (json.version ?? null) : null;
  } catch {
    return null;
  }
}
