// A negotiation as a ladder: this gateway on the left, its peer on the right, one rung a message.

import type { UdpPath } from '../model/address.ts';
import { formatEndpoint } from '../model/address.ts';
import type { IkeMessageEvent, NegotiationFailedEvent } from '../model/ike-event.ts';
import { explainFailure } from './explain.ts';

/** What a ladder can show: messages, and how it ended where it did not end well. */
export type LadderEvent = IkeMessageEvent | NegotiationFailedEvent;

export interface LadderOptions {
  /** Columns to fill; at least 60. */
  readonly width?: number;
  /** Instead of the addresses, such as host names. */
  readonly localName?: string;
  readonly remoteName?: string;
  /** A line for each payload, with what it says. */
  readonly showPayloads?: boolean;
  /** Colours for a terminal. */
  readonly isColoured?: boolean;
}

const WIDTH_DEFAULT = 100;
const WIDTH_MIN = 60;
/** Between the two rails and the text in between. */
const MARGIN = 2;
const DIM = '\u001b[2m';
const BOLD = '\u001b[1m';
const PLAIN = '\u001b[0m';

/**
 * Renders messages in the order given, one ladder for each peer. Each rung names the exchange and the message's place in it and its payloads
 * in the RFC's notation; under it stands what the message did. A failure says what to change on either side.
 */
export function renderLadder(events: readonly LadderEvent[], options: LadderOptions = {}): string {
  const peers = [...new Set(events.map(peerOf))];
  return peers
    .map((peer) =>
      renderPeer(
        events.filter((event) => peerOf(event) === peer),
        options,
      ),
    )
    .join('\n\n');
}

function renderPeer(events: readonly LadderEvent[], options: LadderOptions): string {
  const [first] = events;
  if (first === undefined) return '';
  const width = Math.max(options.width ?? WIDTH_DEFAULT, WIDTH_MIN);
  const style = new LadderStyle(width, options.isColoured ?? false);
  const lines = [style.heads(options.localName ?? ends(first.path).local, options.remoteName ?? remoteName(first))];
  let previous: LadderEvent | undefined;
  for (const event of events) {
    if (previous === undefined || exchangeOf(previous) !== exchangeOf(event)) lines.push(style.rails(''));
    if (previous !== undefined && !isSamePath(previous.path, event.path)) lines.push(style.note(pathNote(event.path)));
    if (event.kind === 'message') lines.push(...renderMessage(event, style, options.showPayloads ?? false));
    else lines.push(...explainFailure(event).flatMap((line) => style.notes(line)));
    previous = event;
  }
  lines.push(style.rails(''));
  return lines.join('\n');
}

function renderMessage(event: IkeMessageEvent, style: LadderStyle, showPayloads: boolean): readonly string[] {
  const lines = [...style.rung(label(event), event.notation, event.direction === 'sent')];
  for (const { name, length, detail } of showPayloads ? event.payloads : []) {
    lines.push(...style.notes(`${name} (${length})${detail === '' ? '' : `: ${detail}`}`));
  }
  if (event.effect !== '') lines.push(...style.notes(event.effect));
  return lines;
}

/** Draws lines of one width. */
class LadderStyle {
  readonly #width: number;
  readonly #isColoured: boolean;

  constructor(width: number, isColoured: boolean) {
    this.#width = width;
    this.#isColoured = isColoured;
  }

  heads(left: string, right: string): string {
    const gap = Math.max(this.#width - left.length - right.length, 1);
    return `${this.#paint(BOLD, left)}${' '.repeat(gap)}${this.#paint(BOLD, right)}`;
  }

  rails(text: string): string {
    return `|${text.padEnd(this.#width - 2)}|`;
  }

  note(text: string): string {
    const room = this.#width - 2 - MARGIN * 2;
    return `|${' '.repeat(MARGIN)}${this.#paint(DIM, text.padEnd(room))}${' '.repeat(MARGIN)}|`;
  }

  notes(text: string): readonly string[] {
    return wrap(text, this.#width - 2 - MARGIN * 2 - 2).map((line) => this.note(`  ${line}`));
  }

  /** An arrow with the text on it; what does not fit follows on lines of its own. */
  rung(place: string, text: string, isSent: boolean): readonly string[] {
    const room = this.#width - 2 - 12;
    const [head = '', ...rest] = wrap(`${place}: ${text}`, room);
    const shaft = '-'.repeat(this.#width - 2 - head.length - 6);
    const painted = this.#paint(BOLD, head);
    const rung = isSent ? `|-- ${painted} ${shaft}->|` : `|<-${shaft} ${painted} --|`;
    return [rung, ...rest.map((line) => this.note(isSent ? line : line.padStart(room)))];
  }

  #paint(code: string, text: string): string {
    return this.#isColoured ? `${code}${text}${PLAIN}` : text;
  }
}

function label(event: IkeMessageEvent): string {
  const number = event.number > 0 ? ` ${event.number}` : '';
  return `${event.exchange}${number}${event.isRepeat ? ' (again)' : ''}`;
}

function peerOf(event: LadderEvent): string {
  return event.gateway ?? event.path.remote.address;
}

function remoteName(event: LadderEvent): string {
  const { remote } = ends(event.path);
  return event.gateway === undefined ? remote : `${event.gateway} ${remote}`;
}

function ends(path: UdpPath): { readonly local: string; readonly remote: string } {
  return { local: formatEndpoint(path.local), remote: formatEndpoint(path.remote) };
}

function exchangeOf(event: LadderEvent): string {
  if (event.kind !== 'message') return 'failure';
  return `${event.initiatorCookie} ${event.exchange} ${event.messageId}`;
}

function isSamePath(a: UdpPath, b: UdpPath): boolean {
  return ends(a).local === ends(b).local && ends(a).remote === ends(b).remote;
}

function pathNote(path: UdpPath): string {
  return `from here on between ${ends(path).local} and ${ends(path).remote}`;
}

/** Breaks at spaces; a word longer than a line is cut. */
function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((long) => cut(long, width))) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function cut(word: string, width: number): readonly string[] {
  return word.length <= width ? [word] : (word.match(new RegExp(`.{1,${width}}`, 'gs')) ?? []);
}
