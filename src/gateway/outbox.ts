import type { UdpPath } from '../model/address.ts';
import type { ComputeJob } from '../model/compute-job.ts';
import type { DataPlaneCommand } from '../model/data-plane.ts';
import type { IkeEvent } from '../model/ike-event.ts';

/** Where the gateway's effects go: the host and the simulator each implement one. No method calls back into the gateway. */
export interface GatewayOutbox {
  /** `false` if nobody listens to `message` events, which then need not be made. */
  readonly wantsMessages?: boolean;
  /** A complete UDP payload: on port 4500 it already starts with the non-ESP marker, or is a keepalive. */
  transmit(path: UdpPath, datagram: Uint8Array): void;
  command(command: DataPlaneCommand): void;
  compute(job: ComputeJob): void;
  report(event: IkeEvent): void;
}
