import { Namespaces } from './namespaces.ts';

/**
 * Two offices and the wire between them:
 * `main-lan 10.1.0.10 — 10.1.0.1 main-gw 198.51.100.1 —wan— 203.0.113.1 branch-gw 10.2.0.1 — 10.2.0.10 branch-lan`.
 */
export const MAIN_HOST = '10.1.0.10';
export const BRANCH_HOST = '10.2.0.10';
/** What must never be seen on the wire between the gateways. */
export const LANS: readonly string[] = ['10.1.0.0/24', '10.2.0.0/24'];
export const WAN = 'wan';

/** Makes the four namespaces and their cables; the caller removes them. */
export function buildTwoOffices(): Namespaces {
  const offices = new Namespaces('lab');
  try {
    offices.add('main-lan', 'main-gw', 'branch-gw', 'branch-lan');
    offices.connect(
      { namespace: 'main-gw', interface: WAN, address: '198.51.100.1/24' },
      { namespace: 'branch-gw', interface: WAN, address: '203.0.113.1/24' },
    );
    addLan(offices, 'main', '10.1.0');
    addLan(offices, 'branch', '10.2.0');
    // Each gateway's way to the rest of the world leads over the wire, so that a packet that missed the tunnel would be seen there.
    offices.ip('main-gw', 'route', 'add', 'default', 'via', '203.0.113.1', 'dev', WAN, 'onlink');
    offices.ip('branch-gw', 'route', 'add', 'default', 'via', '198.51.100.1', 'dev', WAN, 'onlink');
    return offices;
  } catch (error) {
    offices.remove();
    throw error;
  }
}

function addLan(offices: Namespaces, office: 'main' | 'branch', network: string): void {
  offices.connect(
    { namespace: `${office}-lan`, interface: 'eth0', address: `${network}.10/24` },
    { namespace: `${office}-gw`, interface: 'lan', address: `${network}.1/24` },
  );
  offices.ip(`${office}-lan`, 'route', 'add', 'default', 'via', `${network}.1`);
  offices.enableForwarding(`${office}-gw`);
}
