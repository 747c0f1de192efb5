import type { UdpPath } from '../model/address.ts';
import type { ComputeJob } from '../model/compute-job.ts';
import type { DataPlaneCommand } from '../model/data-plane.ts';
import type { IkeEvent } from '../model/ike-event.ts';

/** The SA commands that IKE gives; policies are the gateway's business. */
export type SaCommand = Extract<
  DataPlaneCommand,
  { readonly kind: 'reserve-spi' | 'add-inbound' | 'add-outbound' | 'use-outbound' | 'remove' | 'move-path' }
>;

/** Where IKE's effects go, in the order in which they must happen. No method calls back into IKE. */
export interface IkeOutbox {
  /** An ISAKMP message, without the non-ESP marker: the gateway adds it on port 4500 (RFC 3948 §2.2). The bytes are not changed later. */
  transmit(path: UdpPath, message: Uint8Array): void;
  /** A NAT keepalive (RFC 3948 §2.3). */
  transmitKeepalive(path: UdpPath): void;
  compute(job: ComputeJob): void;
  command(command: SaCommand): void;
  report(event: IkeEvent): void;
}
