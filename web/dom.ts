/** Small help for the page's elements. */

/** The element with that id. Throws where the page has none: the page and its script do not fit together. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`page: it has no element "${id}"`);
  return found as T;
}

type Child = Node | string;

/** A new element; text is text, never markup. */
export function element<K extends keyof HTMLElementTagNameMap>(tag: K, properties: Partial<HTMLElementTagNameMap[K]> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Shows a text, or hides the element where there is none. */
export function say(target: HTMLElement, text: string | null): void {
  target.textContent = text ?? '';
  target.hidden = !text;
}

/** A description list's pairs, each pair in its own `div` where `grouped`. */
export function fillList(list: HTMLElement, pairs: readonly (readonly [string, string])[], grouped = false): void {
  const cells = pairs.map(([name, value]) => [element('dt', {}, name), element('dd', {}, value)] as const);
  list.replaceChildren(...(grouped ? cells.map((pair) => element('div', {}, ...pair)) : cells.flat()));
}

/** The chosen value of radio buttons of that name. */
export function chosen(name: string): string {
  return document.querySelector<HTMLInputElement>(`input[name="${name}"]:checked`)?.value ?? '';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Gives a file to the user as a download. */
export function download(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  element('a', { href: url, download: name }).click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${['B', 'kB', 'MB', 'GB'][power]}`;
}
