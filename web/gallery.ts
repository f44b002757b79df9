/** The pictures of this session. */
import type { Picture } from '../base/platform.ts';
import { element, make } from './dom.ts';
import type { Settings } from './settings.ts';

export interface Drawn {
  picture: Picture;
  settings: Settings;
  /** In which iteration each token was drawn. */
  order: Uint16Array;
  png: Blob;
  seconds: number;
}

const list = element('gallery');

/** Adds a picture; `choose` is called when it is picked later. */
export function addToGallery(drawn: Drawn, choose: (drawn: Drawn) => void): void {
  const { prompt, seed } = drawn.settings,
    image = make('img', { src: URL.createObjectURL(drawn.png), alt: '' });
  const button = make(
    'button',
    { type: 'button' },
    image,
    make('span', { textContent: prompt || 'no prompt' }),
    make('span', { className: 'muted', textContent: `seed ${seed}` }),
  );
  button.addEventListener('click', () => {
    mark(button);
    choose(drawn);
  });
  list.prepend(make('li', {}, button));
  mark(button);
  element('gallery-section').hidden = false;
}

function mark(button: HTMLElement): void {
  for (const other of list.querySelectorAll('button')) other.setAttribute('aria-pressed', String(other === button));
}

/** A name for a file: `red-apple-1.png`. */
export const fileName = ({ settings: { prompt, seed } }: Drawn): string =>
  `${
    (prompt || 'mmar')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, '-')
      .replace(/^-|-$/g, '')
      .slice(0, 60) || 'mmar'
  }-${seed}.png`;

/** Hands a file to the user. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob),
    link = make('a', { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
