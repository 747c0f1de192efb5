import type { UdpPath } from '../model/address.ts';
import type { ComputeJob } from '../model/compute-job.ts';
import type { DataPlaneCommand } from '../model/data-plane.ts';
import type { IkeEvent } from '../model/ike-event.ts';
import type { PolicyId } from '../model/ipsec-sa.ts';
import type { TrafficSelector } from '../model/traffic-selector.ts';

/** The SA commands that IKE gives; policies are the gateway's business, who makes them of what IKE knows of dial-in clients. */
export type SaCommand =
  | Extract<
      DataPlaneCommand,
      { readonly kind: 'reserve-spi' | 'add-inbound' | 'add-outbound' | 'use-outbound' | 'remove' | 'move-path' }
    >
  /** A client has come: what `template` says goes for its address alone, and before `template`. Given again, it replaces the first. */
  | {
      readonly kind: 'put-client-policy';
      readonly id: PolicyId;
      readonly template: PolicyId;
      readonly remote: TrafficSelector;
    }
  /** The last SA of this client is gone. */
  | { readonly kind: 'delete-client-policy'; readonly id: PolicyId };

/** Where IKE's effects go, in the order in which they must happen. No method calls back into IKE. */
export interface IkeOutbox {
  /** `false` if nobody listens to `message` events: to describe a message takes about as long as to make it. */
  readonly wantsMessages?: boolean;
  /** An ISAKMP message, without the non-ESP marker: the gateway adds it on port 4500 (RFC 3948 §2.2). The bytes are not changed later. */
  transmit(path: UdpPath, message: Uint8Array): void;
  /** A NAT keepalive (RFC 3948 §2.3). */
  transmitKeepalive(path: UdpPath): void;
  compute(job: ComputeJob): void;
  command(command: SaCommand): void;
  report(event: IkeEvent): void;
}
