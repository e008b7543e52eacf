/** The Chromium in @sparticuz/chromium, with the libraries and the font that it needs where the system has none. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The package's own names folders of AWS Lambda only, and a page that finds no font at all crashes. */
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`;

const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface CarriedChromium {
  path: string;
  /** This process's environment, with the libraries and the font that are carried beside the browser. */
  environment: Record<string, string>;
}

/** Unpacked under node_modules/.cache, once for a version; null where there is none for this machine. */
export async function carriedChromium(): Promise<CarriedChromium | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  } catch {
    return null;
  }
  const { version } = JSON.parse(await readFile(join(dirname(entry), '../../package.json'), 'utf8')) as { version: string };
  const folder = join(repository, 'node_modules/.cache/ct-lite', `chromium-${version}`);
  if (!existsSync(folder)) await unpack(folder);
  const libraries = [join(folder, 'al2023/lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
  return {
    path: join(folder, 'chromium'),
    environment: { FONTCONFIG_FILE: join(folder, 'fonts.conf'), ...(process.env as Record<string, string>), LD_LIBRARY_PATH: libraries },
  };
}

/** Into a folder of its own, then renamed: another run sees all of it or nothing. */
async function unpack(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const unfinished = await mkdtemp(`${folder}.`);
  try {
    // The package unpacks into the folder for temporary files, its libraries only where it takes the machine for AWS Lambda;
    // in a process of its own, as its import changes the environment then.
    await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', 'await (await import("@sparticuz/chromium")).default.executablePath()'], {
      cwd: repository,
      env: { ...process.env, TMPDIR: unfinished, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs20.x' },
    });
    await writeFile(join(unfinished, 'fonts.conf'), FONTS);
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Another run was first.
    if (!existsSync(folder)) throw error;
  }
}
