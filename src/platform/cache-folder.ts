/** Where files go that can be made again. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * `$CT_LITE_CACHE`, or `ct-lite` in the system's folder for caches: `$XDG_CACHE_HOME` or `~/.cache`, on macOS `~/Library/Caches`, on
 * Windows `%LOCALAPPDATA%`.
 */
export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env, platform: string = process.platform, home = homedir()): string {
  if (env.CT_LITE_CACHE) return resolve(env.CT_LITE_CACHE);
  // XDG: a relative path is to be ignored.
  const named = platform === 'win32' ? env.LOCALAPPDATA : env.XDG_CACHE_HOME;
  if (named && resolve(named) === named) return join(named, 'ct-lite');
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'ct-lite');
  return platform === 'win32' ? join(home, 'AppData', 'Local', 'ct-lite') : join(home, '.cache', 'ct-lite');
}
