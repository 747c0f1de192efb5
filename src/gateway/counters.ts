import { BoundedMap } from '../lib/bounded.ts';
import type { IkeEvent } from '../model/ike-event.ts';

/** What the gateway has seen since it started; plain data, for `show` and for metrics. */
export interface GatewayCounters {
  readonly datagramsReceived: number;
  readonly datagramsSent: number;
  readonly octetsReceived: number;
  readonly octetsSent: number;
  readonly keepalivesReceived: number;
  readonly keepalivesSent: number;
  readonly ikeSasEstablished: number;
  readonly ipsecSasEstablished: number;
  readonly negotiationsFailed: number;
  /** Datagrams that changed nothing, by the reason for it. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** Reasons that are told apart; they come from closed lists, so this only guards against a mistake of ours. */
const DROP_REASONS_MAX = 128;

/** The counters while they count. */
export class GatewayCounting {
  datagramsReceived = 0;
  datagramsSent = 0;
  octetsReceived = 0;
  octetsSent = 0;
  keepalivesReceived = 0;
  keepalivesSent = 0;
  ikeSasEstablished = 0;
  ipsecSasEstablished = 0;
  negotiationsFailed = 0;
  readonly #dropped = new BoundedMap<string, number>(DROP_REASONS_MAX);

  countDrop(reason: string): void {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1);
  }

  handleEvent(event: IkeEvent): void {
    switch (event.kind) {
      case 'ike-sa-established':
        this.ikeSasEstablished++;
        break;
      case 'ipsec-sa-established':
        this.ipsecSasEstablished++;
        break;
      case 'negotiation-failed':
        this.negotiationsFailed++;
        break;
      case 'message-dropped':
        this.countDrop(event.fault);
        break;
    }
  }

  snapshot(): GatewayCounters {
    return {
      datagramsReceived: this.datagramsReceived,
      datagramsSent: this.datagramsSent,
      octetsReceived: this.octetsReceived,
      octetsSent: this.octetsSent,
      keepalivesReceived: this.keepalivesReceived,
      keepalivesSent: this.keepalivesSent,
      ikeSasEstablished: this.ikeSasEstablished,
      ipsecSasEstablished: this.ipsecSasEstablished,
      negotiationsFailed: this.negotiationsFailed,
      dropped: Object.fromEntries(this.#dropped),
    };
  }
}
