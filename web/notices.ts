import { element, make } from './dom.ts';

export interface Notice {
  /** Something went wrong: it is read out at once. */
  bad?: boolean;
  /** A button that does something about it. */
  action?: { label: string; run: () => void };
  /** Takes the place of an earlier one of this key. */
  key?: string;
}

/** Shows a line above everything else until it is closed. */
export function notify(text: string, { bad = false, action, key = text }: Notice = {}): void {
  dismiss(key);
  const notice = make('div', { className: bad ? 'notice bad' : 'notice' }, make('p', { textContent: sentence(text) })),
    buttons = make('div', { className: 'row' });
  notice.setAttribute('role', bad ? 'alert' : 'status');
  notice.dataset.key = key;
  if (action) {
    const act = () => {
      notice.remove();
      action.run();
    };
    buttons.append(make('button', { type: 'button', textContent: action.label, onclick: act }));
  }
  buttons.append(
    make('button', { type: 'button', className: 'quiet', textContent: 'Close', onclick: () => notice.remove() }),
  );
  notice.append(buttons);
  element('notices').append(notice);
}

export function dismiss(key: string): void {
  for (const old of element('notices').children) if ((old as HTMLElement).dataset.key === key) old.remove();
}

/** Errors are written to follow a colon; on the page they stand alone. */
const sentence = (text: string): string => {
  const trimmed = text.trim();
  const word = /^[a-z]+(?=[ ,:])/.test(trimmed); // a file's name or an address stays as it is
  return (word ? trimmed.charAt(0).toUpperCase() + trimmed.slice(1) : trimmed) + (/[.!?…]$/.test(trimmed) ? '' : '.');
};
