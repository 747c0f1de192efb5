import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { AllocationReport, AllocationSettings } from './allocation.fixture.ts';

const FIXTURE = fileURLToPath(new URL('./allocation.fixture.js', import.meta.url));
const HEAP = ['--min-semi-space-size=128', '--max-semi-space-size=128'];
/** Octets of heap. A number that is no small integer takes 12 to 16, the smallest typed array more than 100: there is none for each packet. */
const LIMITS: readonly (Pick<AllocationSettings, 'encryption' | 'integrity' | 'traffic'> & {
  readonly limit: number;
})[] = [
  { encryption: 'aes-256-gcm', integrity: 'none', traffic: 'super-packets', limit: 32 },
  { encryption: 'aes-256-gcm', integrity: 'none', traffic: 'packets', limit: 64 },
  { encryption: 'aes-256-cbc', integrity: 'hmac-sha-256-128', traffic: 'super-packets', limit: 80 },
];

for (const { limit, ...kind } of LIMITS)
  test(`in the steady state a packet allocates at most ${limit} octets, protected and opened: ${kind.encryption}, ${kind.traffic}`, async (context) => {
    const settings: AllocationSettings = { ...kind, warmUp: 50_000, packets: 40_000 };
    const done = await promisify(execFile)(process.execPath, [...HEAP, FIXTURE, JSON.stringify(settings)], {
      timeout: 60_000,
    });
    const report: AllocationReport = JSON.parse(done.stdout);
    context.diagnostic(`${report.octetsPerPacket.toFixed(2)} octets a packet over ${report.packets} packets`);
    assert.ok(report.packets >= settings.packets / 2, `${report.packets} packets came back`);
    assert.ok(report.octetsPerPacket <= limit, `${report.octetsPerPacket} octets a packet`);
  });
